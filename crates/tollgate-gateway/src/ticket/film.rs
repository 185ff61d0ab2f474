//! What is kept of a call's content while it passes: frames, with their time and direction. There is no film where
//! nothing is kept.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use tokio::time::Instant;
use tollgate_core::config::recording::CaptureSettings;
use tollgate_core::ports::{Journal, JournalError};
use tollgate_core::record::{Capture, CaptureMode, Direction, Frame, Kept};
use tollgate_core::redact::Redactor;

/// The frames of one call.
#[derive(Debug)]
pub struct Film {
    mode: CaptureMode,
    redactor: Arc<Redactor>,
    arrived: Instant,
    call_bytes: usize,
    inline_bytes: usize,
    reel: Mutex<Reel>,
}

#[derive(Debug, Default)]
struct Reel {
    frames: Vec<Frame>,
    bytes: usize,
    left_out: u64,
}

impl Film {
    /// A film for a call to `model` that came at `arrived`; `None` where nothing is kept of it. Of a call that may have to be
    /// taken back something is kept in any case: `must`.
    pub(super) fn of(
        settings: &CaptureSettings,
        model: &str,
        arrived: Instant,
        must: bool,
    ) -> Option<Arc<Self>> {
        let mode = match settings.mode(model) {
            CaptureMode::None if must => CaptureMode::Full,
            mode => mode,
        };
        (mode != CaptureMode::None).then(|| {
            Arc::new(Self {
                mode,
                redactor: Arc::clone(&settings.redactor),
                arrived,
                call_bytes: settings.call_bytes,
                inline_bytes: settings.inline_bytes,
                reel: Mutex::default(),
            })
        })
    }

    /// Whether the pieces of streams are kept as they pass. Where something has to be blanked out they are not: what must
    /// go may be spread over several.
    pub(crate) fn keeps_pieces(&self) -> bool {
        self.mode == CaptureMode::Full
    }

    /// Keeps `bytes` that pass now.
    pub(crate) fn shoot(&self, direction: Direction, attempt: Option<u32>, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let at_us = super::micros(self.arrived.elapsed());
        let mut reel = self.reel.lock();
        let room = self.call_bytes.saturating_sub(reel.bytes);
        let text = std::str::from_utf8(bytes).ok();
        let kept = match text {
            // A part of it might hold half of what has to go.
            _ if self.mode == CaptureMode::Redacted && bytes.len() > room => 0,
            Some(text) => text.floor_char_boundary(room),
            None => bytes.len().min(room),
        };
        reel.left_out += (bytes.len() - kept) as u64;
        reel.bytes += kept;
        if kept == 0 {
            return;
        }
        let text = text.map(|text| match self.mode {
            CaptureMode::Redacted => self.redactor.redact(&text[..kept]),
            _ => text[..kept].to_owned(),
        });
        // What is no text cannot be searched for what has to go.
        let base64 =
            (text.is_none() && self.mode == CaptureMode::Full).then(|| STANDARD.encode(&bytes[..kept]));
        reel.frames.push(Frame { at_us, direction, attempt, text, base64 });
    }

    /// What was kept since the last time, ready for an entry.
    pub(super) fn take(&self, journal: &dyn Journal) -> Result<Option<Capture>, JournalError> {
        let (frames, left_out_bytes) = {
            let mut reel = self.reel.lock();
            (std::mem::take(&mut reel.frames), std::mem::take(&mut reel.left_out))
        };
        if frames.is_empty() && left_out_bytes == 0 {
            return Ok(None);
        }
        let bytes: usize = frames.iter().map(size).sum();
        let kept = if bytes <= self.inline_bytes {
            Kept::Here { frames }
        } else {
            let lines = serde_json::to_vec(&frames).unwrap_or_default();
            Kept::Aside { file: journal.keep_aside(&lines)?, bytes: lines.len() as u64 }
        };
        Ok(Some(Capture { mode: self.mode, kept, left_out_bytes }))
    }
}

fn size(frame: &Frame) -> usize {
    frame.text.as_ref().or(frame.base64.as_ref()).map_or(0, String::len)
}
