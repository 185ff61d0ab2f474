//! Every text in a definition, with its place and part.

use serde_json::Value;

use crate::place::Place;
use crate::tool::Tool;

/// What part a text has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The name of the tool or of a member.
    Name,
    /// The description of the tool.
    Description,
    /// Any other value.
    Value,
}

/// A text in a definition.
#[derive(Debug)]
pub(super) struct Text<'a> {
    pub(super) place: Place,
    pub(super) part: Part,
    pub(super) text: &'a str,
}

/// The texts of `tool`, its icons left out: they are addresses, or pictures in base64.
pub(super) fn of(tool: &Tool) -> Vec<Text<'_>> {
    let mut texts = Vec::new();
    for (name, value) in tool.members() {
        let place = Place::whole().member(name);
        match (name.as_str(), value) {
            ("icons", _) => {}
            ("name", Value::String(text)) => texts.push(Text { place, part: Part::Name, text }),
            ("description", Value::String(text)) => texts.push(Text { place, part: Part::Description, text }),
            _ => {
                texts.push(Text { place: place.clone(), part: Part::Name, text: name });
                collect(value, place, &mut texts);
            }
        }
    }
    texts
}

/// Levels are bounded where the tool is read.
fn collect<'a>(value: &'a Value, place: Place, texts: &mut Vec<Text<'a>>) {
    match value {
        Value::String(text) => texts.push(Text { place, part: Part::Value, text }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| collect(item, place.item(index), texts));
        }
        Value::Object(members) => {
            for (name, value) in members {
                let place = place.member(name);
                texts.push(Text { place: place.clone(), part: Part::Name, text: name });
                collect(value, place, texts);
            }
        }
        _ => {}
    }
}
