//! Ids of calls, which may be absent here: calls and results are then tied by the function's name and their order.

use std::borrow::Cow;

/// The id of a call in an answer that gives it none: the same whenever the answer is read again, and another one in
/// every answer.
pub(super) fn in_answer(response_id: &str, number: usize) -> String {
    let safe = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let answer: String = response_id.chars().filter(safe).take(24).collect();
    if answer.is_empty() { format!("call_{number}") } else { format!("call_{answer}_{number}") }
}

/// Ties the results of a conversation to its calls.
#[derive(Default)]
pub(super) struct Pairing<'a> {
    calls: usize,
    /// Calls without a result so far: the function and the call's id.
    open: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Pairing<'a> {
    /// The id of the next call. One that is made up depends only on what came before, so that a conversation that
    /// goes on keeps it.
    pub(super) fn call(&mut self, id: Option<Cow<'a, str>>, name: &Cow<'a, str>) -> Cow<'a, str> {
        let number = self.calls;
        self.calls += 1;
        let id = id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("gemini_call_{number}").into());
        self.open.push((name.clone(), id.clone()));
        id
    }

    /// The id of the call that a result is for; `None` when nothing was called that it could be for.
    pub(super) fn result(&mut self, id: Option<Cow<'a, str>>, name: &str) -> Option<Cow<'a, str>> {
        let by_id = id.and_then(|id| self.open.iter().position(|(_, open)| *open == id));
        let found = by_id.or_else(|| self.open.iter().position(|(open, _)| open == name))?;
        Some(self.open.remove(found).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_find_their_calls_by_id_then_by_name_and_order() {
        let mut pairing = Pairing::default();
        let (f, g) = (Cow::Borrowed("f"), Cow::Borrowed("g"));
        assert_eq!(pairing.call(None, &f), "gemini_call_0");
        assert_eq!(pairing.call(Some("own".into()), &g), "own");
        assert_eq!(pairing.call(None, &f), "gemini_call_2");
        assert_eq!(pairing.result(Some("own".into()), "g").as_deref(), Some("own"));
        assert_eq!(pairing.result(None, "f").as_deref(), Some("gemini_call_0"));
        assert_eq!(pairing.result(Some("not known".into()), "f").as_deref(), Some("gemini_call_2"));
        assert_eq!(pairing.result(None, "f"), None);
    }

    #[test]
    fn an_answers_ids_fit_everywhere() {
        let id = in_answer("vYfQaMn0IOvhz7IPr_-J4A.:/abcdefgh", 12);
        assert!(
            id.len() <= 40 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)),
            "{id}"
        );
        assert_eq!(in_answer("", 3), "call_3");
    }
}
