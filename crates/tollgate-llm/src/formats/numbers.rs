//! Numbers as formats write them.

/// `value` as JSON: a whole number without a fraction, as most clients write it.
#[expect(clippy::cast_possible_truncation, reason = "checked to be a small whole number")]
pub(super) fn number(value: f64) -> serde_json::Value {
    if value.fract() == 0.0 && value.abs() < 1e9 { (value as i64).into() } else { value.into() }
}
