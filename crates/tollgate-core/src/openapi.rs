//! Schemas of what is written as a text and is more than one.

use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::access::{ModelPattern, Network, ToolPattern};
use crate::ledger::{Usd, Window};

fn text(description: &str, example: &str) -> Object {
    let text = ObjectBuilder::new().schema_type(Type::String).description(Some(description));
    text.examples([serde_json::json!(example)]).build()
}

macro_rules! texts {
    ($($name:ident: $description:literal, $example:literal;)+) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                RefOr::T(Schema::Object(text($description, $example)))
            }
        }

        impl ToSchema for $name {}
    )+};
}

texts! {
    Usd: "US dollars, exact to a nano-dollar. A number is read too.", "12.5";
    Window: "`minute`, `hour`, `day`, `month`, `total`, or so many hours or days.", "30d";
    ModelPattern: "The name of a model, or a pattern with one `*`.", "gpt-*";
    ToolPattern: "Tools of tool servers: `server/tool`, where each side may hold one `*`.", "files/read_*";
    Network: "An address, or a network of them.", "10.0.0.0/8";
}
