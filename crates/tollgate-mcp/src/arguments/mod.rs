//! Arguments against a tool's input schema before a server sees them, structured results against its output schema after.
//!
//! Draft 2020-12, or what `$schema` says (draft-07 and the others that have a name). Nothing is fetched: a schema refers to
//! itself or is refused. `format` is not checked; it says what a text is for (2020-12, "Format-Annotation").

mod cost;
mod explain;
mod refusal;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::place::Place;
use crate::tool::Tool;
use cost::Cost;
pub use explain::Problem;
pub use refusal::{SchemaRefusal, Side, Why};

/// What compiling and checking may take at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaLimits {
    /// `$ref`s in a schema.
    pub references: usize,
    /// Levels of schemas, those behind references added up.
    pub levels: usize,
    /// Bytes of one compiled pattern.
    pub pattern_bytes: usize,
    /// Steps back that one match of a pattern may take.
    pub backtracks: usize,
    /// Pairs of a schema and a value that one check may look at.
    pub steps: usize,
    /// Levels of schemas that one check may be within.
    pub depth: usize,
    /// Problems that are told of.
    pub problems: usize,
}

impl Default for SchemaLimits {
    /// 256 references, 500 levels, 1 MiB a pattern, 10,000 steps back, 200,000 steps, 200 deep, 8 problems.
    fn default() -> Self {
        Self {
            references: 256,
            levels: 500,
            pattern_bytes: 1 << 20,
            backtracks: 10_000,
            steps: 200_000,
            depth: 200,
            problems: 8,
        }
    }
}

/// The compiled schemas of a tool.
#[derive(Debug)]
pub struct Compiled {
    input: Checker,
    output: Option<Checker>,
}

impl Compiled {
    /// Compiles the schemas of `tool`.
    ///
    /// # Errors
    /// A schema that is not valid, not known, refers elsewhere, or is beyond `limits`.
    pub fn of(tool: &Tool, limits: SchemaLimits) -> Result<Self, SchemaRefusal> {
        let compile = |schema, side| Checker::new(schema, limits).map_err(|why| SchemaRefusal { side, why });
        Ok(Self {
            input: compile(tool.input_schema(), Side::Input)?,
            output: tool.output_schema().map(|schema| compile(schema, Side::Output)).transpose()?,
        })
    }

    /// Checks the `arguments` of a call; none is an object without members.
    ///
    /// # Errors
    /// What is wrong with them, at most so many problems as the limit says.
    pub fn arguments(&self, arguments: Option<&Value>) -> Result<(), Vec<Problem>> {
        match arguments {
            Some(arguments) => self.input.check(arguments),
            None => self.input.check(&Value::Object(serde_json::Map::new())),
        }
    }

    /// Checks the `structuredContent` of a result that is no error.
    ///
    /// # Errors
    /// What is wrong with it; also that it is missing, where the tool promises one (MCP, "Output Schema").
    pub fn result(&self, structured: Option<&Value>) -> Result<(), Vec<Problem>> {
        match (&self.output, structured) {
            (None, _) => Ok(()),
            (Some(output), Some(structured)) => output.check(structured),
            (Some(_), None) => Err(vec![Problem {
                place: Place::whole(),
                expected: "structured content, as the output schema promises".to_owned(),
                got: "none".to_owned(),
            }]),
        }
    }
}

#[derive(Debug)]
struct Checker {
    validator: Validator,
    cost: Cost,
    problems: usize,
}

impl Checker {
    fn new(schema: &Value, limits: SchemaLimits) -> Result<Self, Why> {
        refusal::examine(schema, limits)?;
        let patterns = PatternOptions::fancy_regex()
            .backtrack_limit(limits.backtracks)
            .size_limit(limits.pattern_bytes)
            .dfa_size_limit(limits.pattern_bytes);
        let validator = jsonschema::options()
            .offline()
            .should_validate_formats(false)
            .with_pattern_options(patterns)
            .build(schema)
            .map_err(|error| refusal::not_built(&error))?;
        Ok(Self { validator, cost: Cost::new(schema.clone(), limits), problems: limits.problems.max(1) })
    }

    fn check(&self, value: &Value) -> Result<(), Vec<Problem>> {
        if !self.cost.allows(value) {
            return Err(vec![Problem {
                place: Place::whole(),
                expected: "a value that can be checked within the limit of steps".to_owned(),
                got: explain::kind(value),
            }]);
        }
        let problems: Vec<_> = self
            .validator
            .iter_errors(value)
            .take(self.problems)
            .map(|error| explain::problem(&error))
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}
