//! How values, amounts and steps are put into words for people.

use crate::{
    runs::leaves,
    schedule::StepPath,
    units::Duration,
    value::{Fields, Value},
    wire::{EpochMetrics, Lap, Round},
};

/// A time as a glance takes it in: `0.4s`, `12.3s`, `4min05s`, `1h30min`.
pub fn brief(time: Duration) -> String {
    let ms = time.millis().max(0);
    match ms {
        0..60_000 => format!("{:.1}s", ms as f64 / 1000.0),
        60_000..3_600_000 => format!("{}min{:02}s", ms / 60_000, ms / 1000 % 60),
        _ => format!("{}h{:02}min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

/// A time that has passed as people tell it: `40s`, `12min`, `5h`, `3d`.
pub fn age(age: Duration) -> String {
    let secs = age.millis().max(0) / 1000;
    match secs {
        0..120 => format!("{secs}s"),
        120..7200 => format!("{}min", secs / 60),
        7200..172_800 => format!("{}h", secs / 3600),
        _ => format!("{}d", secs / 86_400),
    }
}

/// A moment, in milliseconds since 1970, by the clock and the calendar of this place.
pub fn moment(ms: i64) -> Option<String> {
    let moment = jiff::Timestamp::from_millisecond(ms).ok()?.to_zoned_datetime(jiff::tz::TimeZone::system());
    Some(moment.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// A number of bytes as a glance takes it in: `512 B`, `1.2 MiB`.
pub fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let Some(first) = bytes.checked_ilog2().map(|log| log as usize / 10).filter(|index| *index > 0) else {
        return format!("{bytes} B");
    };
    let unit = first.min(units.len());
    format!("{:.1} {}", bytes as f64 / (1_u64 << (10 * unit)) as f64, units[unit - 1])
}

/// What a round of a training came to.
pub fn round(round: &Round) -> String {
    let Round { number, workers, steps: [from, to], samples, elapsed, laps, .. } = round;
    let rate = *samples as f64 / elapsed.secs_f64().max(1e-3);
    let all = |part: fn(&Lap) -> Duration| laps.iter().map(|lap| part(lap).secs_f64()).sum::<f64>();
    let (computing, waiting) = (all(|lap| lap.computing), all(|lap| lap.waiting));
    let share = 100.0 * waiting / (computing + waiting).max(1e-9);
    let workers = if *workers == 1 { "1 worker".into() } else { format!("{workers} workers") };
    format!(
        "round {number}, {workers}: steps {from} to {to}, {} samples/s, {share:.0}% of it exchange",
        self::number(rate)
    )
}

/// A number with four significant digits.
pub fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let digits = 3 - value.abs().log10().floor() as i32;
    match digits {
        ..=-9 => format!("{value:.3e}"),
        -8..=-1 => format!("{value:.0}"),
        0..=8 => {
            let text = format!("{value:.prec$}", prec = digits as usize);
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        }
        _ => format!("{value:.3e}"),
    }
}

/// A value in a line.
pub fn value(value: &Value) -> String {
    match value {
        Value::Float(float) => number(*float),
        Value::Record(fields) => self::fields(fields),
        Value::String(text) => text.to_string(),
        Value::Artifact(artifact) => artifact.name.clone(),
        Value::List(items) if items.len() > 8 => format!("a list of {}", items.len()),
        Value::List(items) => format!("[{}]", items.iter().map(self::value).collect::<Vec<_>>().join(", ")),
        value => value.to_string(),
    }
}

/// Fields in a line: `lr 0.004, hidden 64`; those of records inside by their whole names.
pub fn fields(fields: &Fields) -> String {
    let parts = leaves(fields).into_iter().map(|(name, value)| format!("{name} {}", self::value(value)));
    parts.collect::<Vec<_>>().join(", ")
}

/// The metrics of an epoch in a line.
pub fn metrics(epoch: &EpochMetrics) -> String {
    let part = |name: &str, part: &std::collections::BTreeMap<String, f64>| {
        part.iter().map(|(metric, value)| format!("{name}.{metric} {}", number(*value))).collect::<Vec<_>>()
    };
    [part("train", &epoch.train), part("valid", &epoch.valid)].concat().join(", ")
}

/// A step's name inside its workflow.
pub fn step(path: &StepPath) -> &str {
    inside(&path.0)
}

/// A path inside its workflow.
pub fn inside(path: &str) -> &str {
    path.split_once('/').map_or(path, |(_, inside)| inside)
}

/// Some things, counted.
pub fn count(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_four_digits() {
        let shown = [0.0, 1.0, 0.971_36, 123_456.7, 0.000_012_345_6, -2.5, f64::NAN, 1e-12].map(number);
        assert_eq!(shown, ["0", "1", "0.9714", "123457", "0.00001235", "-2.5", "NaN", "1.000e-12"]);
    }

    #[test]
    fn times_are_brief() {
        let shown = [400, 12_340, 245_000, 5_400_000].map(|ms| brief(Duration::from_millis(ms)));
        assert_eq!(shown, ["0.4s", "12.3s", "4min05s", "1h30min"]);
    }
}
