//! Names: one for each tool, the way back, and stable where that is promised.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use proptest::collection::vec;
use proptest::prelude::*;
use tollgate_mcp::names::{LONGEST, Names, Naming, Prefix, Rename, Source, is_taken};

fn named(naming: &Naming, sources: &[(&str, &str)]) -> Result<Vec<String>, String> {
    let sources: Vec<_> = sources.iter().map(|(server, tool)| Source::new(*server, *tool)).collect();
    let names = Names::give(naming, &sources).map_err(|e| e.to_string())?;
    Ok(sources.iter().map(|source| names.name(source).unwrap().to_owned()).collect())
}

#[test]
fn a_prefix_only_where_needed_or_always() {
    let tools = [("files", "read"), ("files", "search"), ("web", "search")];
    assert_eq!(named(&Naming::default(), &tools).unwrap(), ["read", "files__search", "web__search"]);
    let always = Naming { prefix: Prefix::Always, ..Naming::default() };
    assert_eq!(named(&always, &tools).unwrap(), ["files__read", "files__search", "web__search"]);
    let prefer = Naming { prefer: vec![Source::new("web", "search")], ..Naming::default() };
    assert_eq!(named(&prefer, &tools).unwrap(), ["read", "files__search", "search"]);
}

#[test]
fn what_clients_do_not_take_is_replaced_and_what_is_too_long_is_cut() {
    assert_eq!(named(&Naming::default(), &[("s", "a.b/c d")]).unwrap(), ["a_b_c_d"]);
    let (one, other) = ("x".repeat(70), format!("{}y", "x".repeat(69)));
    let names = named(&Naming::default(), &[("s", &one), ("s", &other)]).unwrap();
    assert!(names.iter().all(|name| name.len() == LONGEST && name.starts_with(&"x".repeat(55))), "{names:?}");
    assert_ne!(names[0], names[1]);
}

#[test]
fn a_collision_names_both_unless_a_rule_resolves_it() {
    let tools = [("s", "a.b"), ("s", "a_b")];
    let error = named(&Naming::default(), &tools).unwrap_err();
    assert_eq!(error, "`a.b` of `s` and `a_b` of `s` would both be `a_b`: rename one, or prefer one");
    let rename = |to: &str| Naming {
        rename: vec![Rename { server: "s".to_owned(), tool: "a.b".to_owned(), to: to.to_owned() }],
        ..Naming::default()
    };
    assert_eq!(named(&rename("dotted"), &tools).unwrap(), ["dotted", "a_b"]);
    assert!(named(&rename("a_b"), &tools).unwrap_err().contains("would both be `a_b`"));
    assert!(named(&rename("not taken"), &tools).unwrap_err().contains("cannot be renamed"));
    let prefer = Naming { prefer: vec![Source::new("s", "a_b")], ..Naming::default() };
    let names = named(&prefer, &tools).unwrap();
    assert_eq!((names[0].len(), names[1].as_str()), (12, "a_b"));
    let across =
        named(&Naming { prefix: Prefix::Always, ..Naming::default() }, &[("a", "b__c"), ("a__b", "c")]);
    assert!(across.unwrap_err().contains("would both be `a__b__c`"));
    // A renamed tool is in nobody's way.
    let moved = Naming {
        rename: vec![Rename { server: "a".into(), tool: "x".into(), to: "ax".into() }],
        ..Naming::default()
    };
    assert_eq!(named(&moved, &[("a", "x"), ("b", "x")]).unwrap(), ["ax", "x"]);
}

fn sources() -> impl Strategy<Value = Vec<Source>> {
    let server = prop::sample::select(vec!["a", "b", "long-server-name-long-server-name", "ä"]);
    let tool = prop_oneof![
        prop::sample::select(vec!["x", "y", "x.y", "x_y", "読む", "very long"]).prop_map(ToOwned::to_owned),
        "[a-z._/é-]{1,90}",
    ];
    vec((server, tool).prop_map(|(server, tool)| Source::new(server, tool)), 1..12)
}

fn naming() -> impl Strategy<Value = Naming> {
    (any::<bool>(), sources()).prop_map(|(always, prefer)| Naming {
        prefix: if always { Prefix::Always } else { Prefix::Needed },
        rename: Vec::new(),
        prefer,
    })
}

proptest! {
    #[test]
    fn every_name_is_taken_and_leads_back(naming in naming(), sources in sources()) {
        if let Ok(names) = Names::give(&naming, &sources) {
            for source in &sources {
                let name = names.name(source).unwrap();
                prop_assert!(is_taken(name), "{name}");
                prop_assert_eq!(names.source(name), Some(source));
            }
        }
    }

    #[test]
    fn always_prefixed_names_stay_when_a_server_is_added(sources in sources(), tools in vec("[a-z._]{1,80}", 1..5)) {
        let always = Naming { prefix: Prefix::Always, ..Naming::default() };
        let more: Vec<_> = sources.iter().cloned().chain(tools.iter().map(|tool| Source::new("added", tool))).collect();
        if let (Ok(before), Ok(after)) = (Names::give(&always, &sources), Names::give(&always, &more)) {
            for source in &sources {
                prop_assert_eq!(before.name(source), after.name(source));
            }
        }
    }

    #[test]
    fn the_order_of_servers_changes_nothing(naming in naming(), sources in sources()) {
        let mut turned = sources.clone();
        turned.reverse();
        prop_assert_eq!(Names::give(&naming, &sources), Names::give(&naming, &turned));
    }
}
