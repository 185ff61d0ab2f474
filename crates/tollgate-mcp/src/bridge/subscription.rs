//! What somebody wants to be told without asking each time. A stateful client hears of every change of a list, and
//! subscribes to resources one by one; a stateless one opens a stream and says what of it it wants (2026-07-28,
//! subscriptions). Everything on that stream names it.

use std::borrow::Cow;

use super::{ClientHello, Notes};
use crate::capability;
use crate::json::{Object, elements, object, quoted, string, strings};
use crate::message::meta::SUBSCRIPTION_ID;
use crate::message::{Message, notification, request, response};
use crate::revision::Revision;

/// What a subscription asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Changes of the list of tools.
    pub tools: bool,
    /// Changes of the list of prompts.
    pub prompts: bool,
    /// Changes of the list of resources.
    pub resources: bool,
    /// Changes of these resources.
    pub uris: Vec<String>,
}

impl Filter {
    /// What the params of `subscriptions/listen` ask for; `None` where they do not say.
    pub fn of(params: Option<&str>) -> Option<Self> {
        let wanted = Object::read(params?)?.object("notifications")?;
        let asked = |name: &str| wanted.get(name) == Some("true");
        let uris = wanted.get("resourceSubscriptions").and_then(elements).unwrap_or_default();
        Some(Self {
            tools: asked("toolsListChanged"),
            prompts: asked("promptsListChanged"),
            resources: asked("resourcesListChanged"),
            uris: uris.into_iter().filter_map(string).map(Cow::into_owned).collect(),
        })
    }

    /// As much of it as a server with these `capabilities` can keep.
    #[must_use]
    pub fn granted(self, capabilities: &str) -> Self {
        let can = |name: &str| capability::has(capabilities, name);
        Self {
            tools: self.tools && can("tools.listChanged"),
            prompts: self.prompts && can("prompts.listChanged"),
            resources: self.resources && can("resources.listChanged"),
            uris: if can("resources.subscribe") { self.uris } else { Vec::new() },
        }
    }

    /// Whether it asks for the notification `message`.
    pub fn wants(&self, message: &Message<'_>) -> bool {
        match message.method() {
            Some("notifications/tools/list_changed") => self.tools,
            Some("notifications/prompts/list_changed") => self.prompts,
            Some("notifications/resources/list_changed") => self.resources,
            Some("notifications/resources/updated") => {
                let uri = message.params().and_then(Object::read).and_then(|params| params.string("uri"));
                uri.is_some_and(|uri| self.uris.iter().any(|known| *known == uri))
            }
            _ => false,
        }
    }

    fn text(&self) -> String {
        let flag = |name, on: bool| on.then_some((name, Cow::Borrowed("true")));
        let uris =
            (!self.uris.is_empty()).then(|| ("resourceSubscriptions", Cow::Owned(strings(&self.uris))));
        let flags = [
            flag("toolsListChanged", self.tools),
            flag("promptsListChanged", self.prompts),
            flag("resourcesListChanged", self.resources),
            uris,
        ];
        object(flags.into_iter().flatten())
    }
}

/// The request for `filter` to a stateless server that speaks `to`, in the name of the client that `hello` describes.
pub fn listen(id: &str, filter: &Filter, hello: &ClientHello<'_>, to: Revision, notes: &mut Notes) -> String {
    let params = object([
        ("_meta", Cow::Owned(hello.meta(None, to, notes))),
        ("notifications", Cow::Owned(filter.text())),
    ]);
    request(id, "subscriptions/listen", Some(&params))
}

fn of_subscription(id: &str) -> (&'static str, Cow<'static, str>) {
    ("_meta", Cow::Owned(format!("{{{}:{id}}}", quoted(SUBSCRIPTION_ID))))
}

/// The first message on the stream that the request `id` opened: what of it will be told.
pub fn acknowledged(id: &str, granted: &Filter) -> String {
    let params = object([of_subscription(id), ("notifications", Cow::Owned(granted.text()))]);
    notification("notifications/subscriptions/acknowledged", Some(&params))
}

/// The last message on the stream that the request `id` opened, where it ends in order.
pub fn closed(id: &str) -> String {
    let kind = ("resultType", Cow::Owned(quoted("complete")));
    response(id, &object([kind, of_subscription(id)]))
}

/// The notification `message` as it stands on the stream that the request `id` opened.
pub fn tagged<'a>(message: &Message<'a>, id: &str) -> Cow<'a, str> {
    let read = |text| Object::read(text).map(Object::draft);
    let meta_text = message.params().and_then(Object::read).and_then(|params| params.get("_meta"));
    let (Some(mut params), Some(mut meta)) =
        (read(message.params().unwrap_or("{}")), read(meta_text.unwrap_or("{}")))
    else {
        return Cow::Borrowed(message.text());
    };
    meta.set(SUBSCRIPTION_ID, id);
    params.set("_meta", meta.finish().into_owned());
    let mut draft = message.draft();
    draft.set("params", params.finish().into_owned());
    draft.finish()
}
