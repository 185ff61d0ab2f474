//! OpenAI Images (`POST /v1/images/generations`, `/v1/images/edits`), as in OpenAI's OpenAPI document. Compatible
//! servers speak it too; it is translated into nothing else.

mod usage;
mod watch;

use http::{HeaderMap, StatusCode};
use tollgate_core::fault::UpstreamError;
use tollgate_core::usage::Usage;

use super::openai_chat::{OpenAiChat, error};
use super::{Address, AnswerFor, Format, Kind, Peek, SameFormat, Shown, Surface, Target, Watcher};
use crate::json::{BodyError, Found, Members, quoted};

/// The format.
#[derive(Debug)]
pub struct OpenAiImages;

/// Its name.
pub const NAME: &str = "openai_images";

impl Format for OpenAiImages {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kind(&self) -> Kind {
        Kind::Images
    }

    fn read_error(&self, status: StatusCode, body: &[u8]) -> UpstreamError {
        error::read(status.as_u16(), body)
    }

    fn request_id<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        OpenAiChat.request_id(headers)
    }

    fn surface(&'static self) -> Option<&'static dyn Surface> {
        Some(self)
    }
}

impl Surface for OpenAiImages {
    fn peek(&self, body: &str, _: &Address<'_>) -> Result<Peek, BodyError> {
        let members = Members::find(body, &["model", "stream", "user"])?;
        Ok(Peek {
            model: members.read("model")?.ok_or_else(|| BodyError::shape("model", "is required"))?,
            stream: members.read("stream")?.unwrap_or(false),
            end_user: members.text("user"),
            found: members.into_found(),
            ..Peek::default()
        })
    }

    fn same_format(&self, body: &str, found: Found, target: &Target) -> Result<SameFormat, BodyError> {
        let edit = found.on(body).replace("model", quoted(&target.model));
        Ok(SameFormat { edits: edit.into_iter().collect(), hide_usage: false })
    }

    fn response_usage(&self, body: &str) -> Result<Option<Usage>, String> {
        usage::of(body)
    }

    fn watcher(&self, _: &AnswerFor) -> Box<dyn Watcher> {
        Box::new(watch::EventWatcher::default())
    }

    fn write_error(&self, shown: &Shown<'_>) -> Vec<u8> {
        error::write(shown)
    }

    fn write_stream_error(&self, shown: &Shown<'_>, _: &AnswerFor) -> Vec<u8> {
        crate::sse::event(Some("error"), &error::write(shown))
    }

    fn request_headers(&self) -> &'static [&'static str] {
        &[]
    }

    fn response_headers(&self, name: &str) -> bool {
        OpenAiChat.response_headers(name)
    }
}
