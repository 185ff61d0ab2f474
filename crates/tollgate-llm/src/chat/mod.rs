//! The neutral form in which two chat formats meet: a conversation, the tools offered, the answer, and the answer
//! as a stream of events. It holds what at least two formats can say; what only one can say is a [`Loss`].

mod arguments;
mod feature;
mod losses;
mod request;
mod response;
mod sealed;
mod text;

pub use arguments::{NO_ARGUMENTS, arguments_kept, arguments_object, arguments_text};
pub use feature::{Feature, Unsaid, note_unsaid};
pub use losses::{Kept, Loss, Losses, Member, Spelling};
pub use request::{
    CacheMark, Effort, Message, OutputFormat, Part, Reasoning, Request, Role, Source, Tool, ToolChoice,
    data_url,
};
pub use response::{
    Choice, Citation, Event, Likely, Response, Said, StopReason, TokenLogprob, ToolCall, collect,
};
pub use sealed::{Sealed, bare_id, bare_ids, id_with, split_id};
pub use text::{Json, Text, joined};
