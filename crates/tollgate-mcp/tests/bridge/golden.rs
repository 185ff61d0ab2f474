//! Each case on every way.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tollgate_mcp::bridge::Way;
use tollgate_mcp::revision::Revision;

use crate::cases::{Case, all, becomes, folder, shown};

/// What a case becomes on every way, those with the same outcome together.
fn outcome(case: &Case) -> Value {
    let text = case.text();
    let asked = case.asked.as_ref().map(Value::to_string);
    let mut groups: Vec<(Value, Vec<String>)> = Vec::new();
    for from in case.speakers() {
        for to in Revision::ALL {
            let (became, notes) =
                becomes(&text, case.method.as_deref(), asked.as_deref(), Way::new(from, to));
            let shown = shown(&text, &became, &notes);
            let way = format!("{from} to {to}");
            match groups.iter_mut().find(|(known, _)| *known == shown) {
                Some((_, ways)) => ways.push(way),
                None => groups.push((shown, vec![way])),
            }
        }
    }
    let group = |(mut shown, ways): (Value, Vec<String>)| {
        let mut group = json!({ "ways": ways });
        group.as_object_mut().unwrap().append(shown.as_object_mut().unwrap());
        group
    };
    groups.into_iter().map(group).collect()
}

#[test]
fn every_case_becomes_what_it_should() {
    let mut wrong = String::new();
    let cases = all();
    assert!(cases.len() >= 40);
    for case in cases {
        let got = serde_json::to_string_pretty(&outcome(&case)).unwrap() + "\n";
        let expected = folder().join(format!("{}.out.json", case.name));
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            std::fs::write(&expected, &got).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != got {
            write!(wrong, "\n{}:\n{got}", expected.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
