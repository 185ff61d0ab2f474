//! What a stream passes through: a watcher where client and upstream speak the same format, a translation where
//! they do not.

use tollgate_core::fault::UpstreamError;
use tollgate_core::usage::Usage;
use tollgate_llm::chat::{Event, Response, collect};
use tollgate_llm::formats::{StreamReader, StreamWriter, Watch, Watcher};
use tollgate_llm::sse::SseEvent;

/// What a picture counts in an estimate, as bytes of text.
const IMAGE_BYTES: u64 = 6_000;

/// What a translation may hold back of a stream whose parts are interleaved.
const MOST_HELD: usize = 8 << 20;

/// What a stream passes through.
pub enum Stage {
    /// Unchanged.
    Same {
        /// Reads along.
        watcher: Box<dyn Watcher>,
        /// Whether something of the answer has passed.
        begun: bool,
        /// Hears what is said, where somebody wants to know.
        listener: Option<(Box<dyn StreamReader>, Heard)>,
    },
    /// Translated.
    Translated {
        /// Reads the upstream's format.
        reader: Box<dyn StreamReader>,
        /// Writes the client's.
        writer: Box<dyn StreamWriter>,
        /// What was learnt on the way.
        seen: Seen,
    },
}

/// What was heard of an answer: its events, as long as they are not very many.
#[derive(Debug, Default)]
pub struct Heard {
    events: Vec<Event>,
    bytes: usize,
}

/// What is heard of one answer at most.
const MOST_HEARD: usize = 4 << 20;

impl Heard {
    fn hear(&mut self, event: &Event) {
        let bytes = match event {
            Event::Text(text) | Event::Refusal(text) | Event::ToolArguments { fragment: text, .. } => {
                text.len()
            }
            Event::ToolStart { id, name, .. } => id.len() + name.len(),
            _ => return,
        };
        self.bytes += bytes + size_of::<Event>();
        if self.bytes <= MOST_HEARD {
            self.events.push(event.clone());
        }
    }
}

/// What was learnt of a translated stream.
#[derive(Debug, Default)]
pub struct Seen {
    /// What stands for the id and the model where the upstream says neither.
    names: (String, String),
    begun: bool,
    stopped: bool,
    usage: Option<Usage>,
    content_bytes: u64,
    heard: Option<Heard>,
}

/// What became of an event.
#[derive(Debug)]
pub enum Fed {
    /// More will follow.
    More,
    /// It was the last.
    Last,
    /// The upstream failed.
    Failed(UpstreamError),
    /// It is no event of the upstream's format; why.
    Garbage(String),
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Same { .. } => "Same",
            Self::Translated { .. } => "Translated",
        })
    }
}

impl Stage {
    /// A stream that passes unchanged. `listener` is given where somebody wants to know what is said.
    pub fn same(watcher: Box<dyn Watcher>, listener: Option<Box<dyn StreamReader>>) -> Self {
        Self::Same { watcher, begun: false, listener: listener.map(|reader| (reader, Heard::default())) }
    }

    /// A stream that is translated. `names` stand for the id and the model where the upstream says neither.
    pub fn translated(
        reader: Box<dyn StreamReader>,
        writer: Box<dyn StreamWriter>,
        names: (String, String),
        listens: bool,
    ) -> Self {
        let heard = listens.then(Heard::default);
        Self::Translated { reader, writer, seen: Seen { names, heard, ..Seen::default() } }
    }

    /// What the answer said so far; `None` where nobody wanted to know.
    pub fn heard(&mut self) -> Option<Response> {
        let heard = match self {
            Self::Same { listener, .. } => listener.as_mut().map(|(_, heard)| heard),
            Self::Translated { seen, .. } => seen.heard.as_mut(),
        };
        heard.map(|heard| collect(std::mem::take(&mut heard.events)))
    }

    /// Whether the answer has begun: from here on another upstream cannot take over.
    pub fn has_begun(&self) -> bool {
        match self {
            Self::Same { begun, .. } => *begun,
            Self::Translated { seen, .. } => seen.begun,
        }
    }

    /// Takes an event; what it means for the client goes to `out`.
    pub fn feed(&mut self, event: &SseEvent, out: &mut Vec<u8>) -> Fed {
        match self {
            Self::Same { watcher, begun, listener } => {
                if let Some((reader, heard)) = listener
                    && let Ok(events) = reader.read(event)
                {
                    events.iter().for_each(|event| heard.hear(event));
                }
                let watch = watcher.event(event);
                if watch == Watch::Last && !*begun {
                    return Fed::Garbage("it ended before it began".to_owned());
                }
                *begun |= !event.data.is_empty() && !matches!(watch, Watch::Failed(_) | Watch::Garbage);
                match watch {
                    Watch::Forward => out.extend_from_slice(&event.raw),
                    Watch::Replace(bytes) => out.extend(bytes),
                    Watch::Drop => {}
                    Watch::Last => {
                        out.extend_from_slice(&event.raw);
                        out.extend_from_slice(watcher.end());
                        return Fed::Last;
                    }
                    Watch::Failed(error) => return Fed::Failed(error),
                    Watch::Garbage => return Fed::Garbage(excerpt(event)),
                }
                Fed::More
            }
            Self::Translated { reader, writer, seen } => match reader.read(event) {
                Ok(events) => seen.pass(events, writer.as_mut(), out),
                Err(_) => Fed::Garbage(excerpt(event)),
            },
        }
    }

    /// The upstream has closed the stream. Whether the answer is complete all the same: some servers leave out
    /// the format's last event.
    pub fn end(&mut self, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Same { watcher, .. } => {
                let stopped = watcher.stopped();
                if stopped {
                    out.extend_from_slice(watcher.end());
                }
                stopped
            }
            Self::Translated { writer, seen, .. } => {
                if seen.stopped {
                    writer.write(Event::Done, out);
                }
                seen.stopped
            }
        }
    }

    /// The usage reported so far.
    pub fn usage(&self) -> Option<Usage> {
        match self {
            Self::Same { watcher, .. } => watcher.usage(),
            Self::Translated { seen, .. } => seen.usage,
        }
        .filter(Usage::says_something)
    }

    /// Bytes of content so far.
    pub fn content_bytes(&self) -> u64 {
        match self {
            Self::Same { watcher, .. } => watcher.content_bytes(),
            Self::Translated { seen, .. } => seen.content_bytes,
        }
    }
}

impl Seen {
    fn pass(&mut self, events: Vec<Event>, writer: &mut dyn StreamWriter, out: &mut Vec<u8>) -> Fed {
        for event in events {
            let event = event.named(&self.names.0, &self.names.1);
            let last = match &event {
                Event::Failed(error) => return Fed::Failed(error.clone()),
                Event::Done if !self.begun => return Fed::Garbage("it ended before it began".to_owned()),
                Event::Done => true,
                other => {
                    self.note(other);
                    false
                }
            };
            self.begun |= matches!(event, Event::Start { .. });
            writer.write(event, out);
            if last {
                return Fed::Last;
            }
        }
        if writer.held() > MOST_HELD {
            Fed::Garbage("it interleaves more than can be held back".to_owned())
        } else {
            Fed::More
        }
    }

    fn note(&mut self, event: &Event) {
        if let Some(heard) = &mut self.heard {
            heard.hear(event);
        }
        match event {
            Event::Text(text)
            | Event::Refusal(text)
            | Event::Thinking(text)
            | Event::ToolArguments { fragment: text, .. } => {
                self.content_bytes += text.len() as u64;
            }
            Event::Image { .. } => self.content_bytes += IMAGE_BYTES,
            Event::Usage(usage) | Event::Start { usage: Some(usage), .. } => self.usage = Some(*usage),
            Event::Stop(_) => self.stopped = true,
            _ => {}
        }
    }
}

fn excerpt(event: &SseEvent) -> String {
    let text = String::from_utf8_lossy(&event.data[..event.data.len().min(400)]);
    let shown: String = text.chars().take(80).collect();
    format!("it sent {shown:?}")
}
