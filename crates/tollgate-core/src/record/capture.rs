//! What a record keeps of a call's content, where the configuration says so.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// How much of the content is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptureMode {
    /// Nothing: names, ids and digests only.
    #[default]
    None,
    /// Bodies, with what looks like a key, an e-mail address, a card or a telephone number blanked out.
    Redacted,
    /// Bodies as they were.
    Full,
}

/// Which way a frame went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the client to the gate.
    FromClient,
    /// From the gate to an upstream.
    ToUpstream,
    /// From an upstream to the gate.
    FromUpstream,
    /// From the gate to the client.
    ToClient,
}

/// Something that passed: a body, or a piece of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Frame {
    /// When, from the request's arrival.
    pub at_us: u64,
    /// Which way.
    pub direction: Direction,
    /// Of which attempt, counted from 1; absent towards the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// What, where it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What, in base64, where it is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

/// What was kept of a call's content.
#[derive(Clone, Debug, Serialize)]
pub struct Capture {
    /// How.
    pub mode: CaptureMode,
    /// Where.
    #[serde(flatten)]
    pub kept: Kept,
    /// Bytes that passed and were not kept, for their size.
    #[serde(skip_serializing_if = "is_zero")]
    pub left_out_bytes: u64,
}

/// Where the frames of a call are.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Kept {
    /// In the entry.
    Here {
        /// The frames.
        frames: Vec<Frame>,
    },
    /// In a side file, which is named by its keyed digest.
    Aside {
        /// Its name.
        file: Digest,
        /// Its size before it was compressed.
        bytes: u64,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}
