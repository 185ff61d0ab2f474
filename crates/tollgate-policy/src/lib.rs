//! Rules for calls, in the Common Expression Language (<https://cel.dev>). An expression sees what is known of a call and
//! nothing else: it reads no files, knows no time, and ends, since the language has no loops but over what it is given.

use std::collections::HashSet;
use std::sync::Arc;

use cel::objects::Key;
use cel::{Context, Env, Program, Value};
use tollgate_core::policy::{Expression, Expressions, Facts, VARIABLES};

/// The longest expression, in bytes.
const LONGEST: usize = 4_096;

/// Whoever understands expressions.
pub struct Cel(Arc<Env>);

impl std::fmt::Debug for Cel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cel")
    }
}

impl Default for Cel {
    fn default() -> Self {
        Self(Arc::new(Env::stdlib()))
    }
}

struct Compiled {
    env: Arc<Env>,
    program: Program,
    variables: HashSet<String>,
}

impl Expressions for Cel {
    fn read(&self, text: &str) -> Result<Arc<dyn Expression>, String> {
        if text.len() > LONGEST {
            return Err(format!("it is longer than {LONGEST} bytes"));
        }
        let program = self.0.compile(text).map_err(|error| error.to_string())?;
        let variables: HashSet<String> =
            program.references().variables().into_iter().map(str::to_owned).collect();
        let unknown = |name: &&String| !VARIABLES.contains(&name.as_str()) && !is_bound(name, text);
        if let Some(unknown) = variables.iter().find(unknown) {
            return Err(format!("there is no `{unknown}`: a rule knows {}", VARIABLES.join(", ")));
        }
        Ok(Arc::new(Compiled { env: Arc::clone(&self.0), program, variables }))
    }
}

/// Whether `text` itself gives `name` a meaning, as in `list.exists(name, …)`; or the library does for its own use.
fn is_bound(name: &str, text: &str) -> bool {
    let own = !name.starts_with(|c: char| c.is_ascii_alphabetic());
    let opens = |part: &str| {
        part.trim_start().strip_prefix(name).is_some_and(|after| after.trim_start().starts_with(','))
    };
    own || text.split('(').skip(1).any(opens)
}

impl Expression for Compiled {
    fn holds(&self, facts: &Facts<'_>) -> Result<bool, String> {
        let mut context = Context::with_env(Arc::clone(&self.env));
        let facts = cel::to_value(facts).map_err(|error| error.to_string())?;
        let Value::Map(members) = facts else { return Err("there are no facts".to_owned()) };
        for name in self.variables.iter().filter(|name| VARIABLES.contains(&name.as_str())) {
            let key = Key::from(name.as_str());
            // What is not known is no value: an expression that needs it comes to nothing.
            if let Some(value) = members.get(&key).cloned() {
                context.add_variable_from_value(name.as_str(), value);
            }
        }
        match self.program.execute(&context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err("it is neither true nor false".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn mentions(&self, variable: &str) -> bool {
        self.variables.contains(variable)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tollgate_core::policy::{WhereItBelongs, WhoCalls};

    use super::*;

    fn facts(arguments: &Value) -> Facts<'_> {
        Facts {
            principal: WhoCalls { kind: "key", id: "k1", user: "ann", team: "interns" },
            surface: "mcp",
            method: Some("tools/call"),
            model: "",
            server: "files",
            tool: "write_file",
            effect: "write",
            application: "",
            path: Some(""),
            arguments: Some(arguments),
            trace: WhereItBelongs { id: "t", asked: "no", cause: "" },
        }
    }

    fn holds(text: &str) -> Result<bool, String> {
        let arguments = json!({ "path": "/etc/passwd", "lines": ["a", "b"], "n": 3, "deep": { "x": null } });
        Cel::default().read(text)?.holds(&facts(&arguments))
    }

    #[test]
    fn a_rule_sees_the_whole_call() {
        for (text, expected) in [
            (r#"principal.team == "interns" && effect != "read""#, true),
            (r#"server == "files" && tool.startsWith("write_")"#, true),
            (r#"arguments.path.matches("^/(etc|proc)/")"#, true),
            (r#"has(arguments.force) && arguments.force"#, false),
            (r#"arguments.lines.exists(line, line == "b") && arguments.n > 2"#, true),
            (r#"trace.asked == "no" && trace.cause != "undo""#, true),
            (r#"surface != "mcp" && model in ["gpt-5", "o3"]"#, false),
            (r#"has(arguments.deep.y)"#, false),
        ] {
            assert_eq!(holds(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_decides_nothing_but_where_it_does_not_matter() {
        let nothing = Value::Null;
        let unclear = Facts { application: "wiki", path: None, method: None, ..facts(&nothing) };
        let holds = |text: &str| Cel::default().read(text).and_then(|rule| rule.holds(&unclear));
        for text in ["application == \"shop\" && path == \"/\"", "path == \"/\" && application == \"shop\""] {
            assert_eq!(holds(text), Ok(false), "{text}");
        }
        for text in ["application == \"wiki\" && path == \"/\"", "path == \"/\"", "method == \"DELETE\""] {
            assert!(holds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_found_when_it_is_read_where_it_can_be() {
        for text in ["principal.", "1 +", "now > 3", "env.HOME == ''", "", "(((("] {
            assert!(Cel::default().read(text).is_err(), "{text}");
        }
        assert!(Cel::default().read(&"a".repeat(5_000)).is_err());
        for text in ["arguments.missing == 1", "tool", "tool > 3", "arguments.n / 0 == 1"] {
            assert!(holds(text).is_err(), "{text}");
        }
        let rule = Cel::default().read("arguments.x == 1 || trace.id == ''").unwrap();
        assert!(rule.mentions("arguments") && rule.mentions("trace") && !rule.mentions("tool"));
    }
}
