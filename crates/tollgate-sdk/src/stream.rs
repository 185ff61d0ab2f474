//! An answer that comes piece by piece.

use std::collections::VecDeque;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use tollgate_llm::chat::Event;
use tollgate_llm::formats::StreamReader;
use tollgate_llm::framing::{EventReader, Framing};

use crate::Error;

/// The largest event that is read.
const LARGEST: usize = 8 << 20;

/// An answer that comes piece by piece. Dropping it cancels the rest.
pub struct Stream {
    body: Incoming,
    events: EventReader,
    reader: Box<dyn StreamReader>,
    ready: VecDeque<Event>,
    stopped: bool,
    ended: bool,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl Stream {
    pub(crate) fn new(body: Incoming, framing: Framing, reader: Box<dyn StreamReader>) -> Self {
        let events = EventReader::new(framing, LARGEST);
        Self { body, events, reader, ready: VecDeque::new(), stopped: false, ended: false }
    }

    /// The next piece; `None` after the last one. A stream that breaks off ends with an error.
    pub async fn next(&mut self) -> Option<Result<Event, Error>> {
        loop {
            match self.ready.pop_front() {
                Some(Event::Failed(error)) => {
                    self.ended = true;
                    return Some(Err(Error::upstream(error)));
                }
                Some(Event::Done) => {
                    self.ended = true;
                    return Some(Ok(Event::Done));
                }
                Some(event) => {
                    self.stopped |= matches!(event, Event::Stop(_));
                    return Some(Ok(event));
                }
                None if self.ended => return None,
                None => {
                    if let Err(error) = self.more().await {
                        self.ended = true;
                        return Some(Err(error));
                    }
                }
            }
        }
    }

    /// The next text; everything else is passed over. `None` after the last one.
    pub async fn next_text(&mut self) -> Option<Result<String, Error>> {
        loop {
            match self.next().await? {
                Ok(Event::Text(text)) => return Some(Ok(text)),
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Reads the next piece of the body.
    async fn more(&mut self) -> Result<(), Error> {
        match self.body.frame().await {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.events.push(data);
                }
                while let Some(event) =
                    self.events.next_event().map_err(|why| Error::BadAnswer(format!("{why:?}")))?
                {
                    self.ready.extend(self.reader.read(&event).map_err(Error::BadAnswer)?);
                }
                Ok(())
            }
            Some(Err(error)) => Err(Error::Connection(error.to_string())),
            None => {
                if let Some(event) = self.events.finish() {
                    self.ready.extend(self.reader.read(&event).map_err(Error::BadAnswer)?);
                }
                if self.ready.is_empty() {
                    // Several servers leave out the format's last event.
                    if !self.stopped {
                        return Err(Error::Connection("the answer broke off".to_owned()));
                    }
                    self.ready.push_back(Event::Done);
                }
                Ok(())
            }
        }
    }
}
