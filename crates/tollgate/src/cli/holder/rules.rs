//! Budgets and limits as they are written on a command line.

use serde_json::{Map, Value, json};
use tollgate_core::ledger::{Usd, Window};

/// Reads `10/month`, `trial=5/30d:soft`, `100/day:strict:warn=80:zone=Europe/Berlin`, or a budget as JSON, for clap.
pub(in crate::cli) fn budget(text: &str) -> Result<Value, String> {
    if text.trim_start().starts_with('{') {
        return object(text);
    }
    let mut parts = text.split(':');
    let what = parts.next().unwrap_or_default();
    let (name, what) = what.split_once('=').map_or((None, what), |(name, what)| (Some(name), what));
    let (amount, window) =
        what.split_once('/').ok_or_else(|| format!("{text}: write AMOUNT/WINDOW, such as 10/month"))?;
    let amount: Usd = amount.parse().map_err(|_| format!("{amount:?} is no amount in US dollars"))?;
    let window: Window = window.parse()?;
    let id = name.map_or_else(|| window.to_string(), str::to_owned);
    let mut budget = json!({ "id": id, "amount_usd": amount, "window": window });
    for part in parts {
        match part.split_once('=') {
            None if matches!(part, "strict" | "soft") => budget[part] = true.into(),
            Some(("warn", percent)) => {
                let percent: u8 =
                    percent.parse().map_err(|_| format!("{percent:?} is no share in percent"))?;
                budget["warn_percent"] = percent.into();
            }
            Some(("zone", zone)) => budget["time_zone"] = zone.into(),
            _ => return Err(format!("{part:?} is none of strict, soft, warn=PERCENT, zone=AREA/CITY")),
        }
    }
    Ok(budget)
}

/// Reads `requests=60/minute`, `requests:destructive=5/hour`, `concurrent_calls=5`, or a limit as JSON, for clap.
pub(in crate::cli) fn limit(text: &str) -> Result<Value, String> {
    if text.trim_start().starts_with('{') {
        return object(text);
    }
    let (measure, rest) = text
        .split_once('=')
        .ok_or_else(|| format!("{text}: write MEASURE=NUMBER/WINDOW, such as requests=60/minute"))?;
    let (max, per) = rest.split_once('/').map_or((rest, None), |(max, per)| (max, Some(per)));
    let max: u64 = max.parse().map_err(|_| format!("{max:?} is no number"))?;
    let (measure, effects) =
        measure.split_once(':').map_or((measure, None), |(measure, of)| (measure, Some(of)));
    let mut limit = json!({ "measure": measure, "max": max });
    if let Some(effects) = effects {
        limit["effects"] = effects.split('+').collect();
    }
    if let Some(per) = per {
        limit["per"] = json!(per.parse::<Window>()?);
    }
    Ok(limit)
}

/// Reads a JSON object, for clap.
pub(in crate::cli) fn object(text: &str) -> Result<Value, String> {
    let read: Map<String, Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(Value::Object(read))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_read_as_people_write_them() {
        let month = json!({ "id": "month", "amount_usd": "10", "window": "month" });
        assert_eq!(budget("10/month"), Ok(month));
        assert_eq!(
            budget("a=0.5/30d:soft:warn=80:zone=Europe/Berlin"),
            Ok(json!({
                "id": "a", "amount_usd": "0.5", "window": "30d", "soft": true, "warn_percent": 80,
                "time_zone": "Europe/Berlin",
            }))
        );
        assert_eq!(budget(r#"{"window": "day"}"#), Ok(json!({ "window": "day" })));
        for wrong in ["10", "ten/month", "10/fortnight", "10/month:hard", "10/month:warn=x", "-1/day", "{"] {
            assert!(budget(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits_are_read_as_people_write_them() {
        let minute = json!({ "measure": "requests", "max": 60, "per": "minute" });
        assert_eq!(limit("requests=60/minute"), Ok(minute));
        assert_eq!(
            limit("requests:write+destructive=5/hour"),
            Ok(
                json!({ "measure": "requests", "effects": ["write", "destructive"], "max": 5, "per": "hour" })
            )
        );
        assert_eq!(limit("concurrent_calls=5"), Ok(json!({ "measure": "concurrent_calls", "max": 5 })));
        for wrong in ["60/minute", "requests=many/minute", "requests=60/moment", "{1}"] {
            assert!(limit(wrong).is_err(), "{wrong}");
        }
    }
}
