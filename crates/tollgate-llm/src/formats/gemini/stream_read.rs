//! A stream of chunks, into events. Nothing marks its end but the end of the body.

use super::answer::{Answer, Progress};
use super::error;
use crate::chat::{Event, StopReason};
use crate::formats::StreamReader;
use crate::sse::SseEvent;

/// Reads chunks.
#[derive(Default)]
pub(super) struct ChunkReader {
    /// The answer's id, once it has begun.
    answer: Option<String>,
    progress: Progress,
}

impl StreamReader for ChunkReader {
    fn read(&mut self, event: &SseEvent) -> Result<Vec<Event>, String> {
        if event.data.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(error) = error::in_stream(&event.data) {
            return Ok(vec![Event::Failed(error)]);
        }
        let mut chunk: Answer = serde_json::from_slice(&event.data).map_err(|e| e.to_string())?;
        if chunk.is_empty() {
            return Err("it has no `candidates`".to_owned());
        }
        let mut out = Vec::new();
        let answer = self.answer.get_or_insert_with(|| {
            out.push(chunk.start());
            chunk.id().to_owned()
        });
        // Before the end of the answer, which is where some clients want it.
        out.extend(chunk.usage().map(Event::Usage));
        if let Some(refusal) = chunk.prompt_feedback.take().and_then(|feedback| feedback.refusal()) {
            out.push(Event::Refusal(refusal));
            out.push(Event::Stop(StopReason::Refused));
        }
        // Several answers at once are not translated while they stream.
        for candidate in chunk.candidates.unwrap_or_default().into_iter().filter(|c| c.index == 0) {
            self.progress.events(candidate, answer, &mut out);
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &'static str) -> Result<Vec<Event>, String> {
        ChunkReader::default().read(&SseEvent { name: None, data: data.into(), raw: data.into() })
    }

    #[test]
    fn a_model_that_stumbles_without_a_word_has_failed() {
        let stumbled = r#"{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL","finishMessage":"f(","index":0}],"responseId":"r"}"#;
        let events = read(stumbled).unwrap();
        assert!(
            matches!(events.last(), Some(Event::Failed(error)) if error.message.contains("f(")),
            "{events:?}"
        );
        let spoke = r#"{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"OTHER"}]}"#;
        assert_eq!(read(spoke).unwrap().last(), Some(&Event::Stop(StopReason::End)));
    }

    #[test]
    fn only_the_first_answer_is_read_and_garbage_is_told() {
        let two = r#"{"candidates":[{"index":1,"content":{"parts":[{"text":"b"}]}},{"content":{"parts":[{"text":"a"}]}}]}"#;
        let events = read(two).unwrap();
        assert_eq!(events[1..], [Event::Text("a".into())]);
        assert!(read("{}").is_err() && read("x").is_err() && read("[1]").is_err());
        assert!(matches!(read(r#"{"error":{"status":"UNAVAILABLE"}}"#).unwrap()[..], [Event::Failed(_)]));
        assert_eq!(read("").unwrap(), []);
    }
}
