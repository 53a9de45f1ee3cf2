//! The tables that `kubectl get` prints.
//!
//! Columns follow `pkg/printers/internalversion/printers.go` for the kinds that matter here; any other kind shows its
//! name and age.

use super::representation::{IncludeObject, metadata_only};
use super::resources::Resource;
use jiff::Timestamp;
use serde_json::{Value, json};

mod columns;

use columns::{Column, columns};

/// A `Table` with one row an object.
pub(crate) fn document(
    resource: &Resource,
    objects: &[&Value],
    include: IncludeObject,
    metadata: &Value,
    now: Timestamp,
) -> Value {
    let columns = columns(resource);
    let definition = |column: &Column| {
        json!({
            "name": column.name,
            "type": column.kind,
            "format": if column.name == "Name" { "name" } else { "" },
            "description": "",
            "priority": column.priority,
        })
    };
    let row = |object: &&Value| {
        let cells: Vec<Value> = columns.iter().map(|column| (column.cell)(object, now)).collect();
        match include {
            IncludeObject::None => json!({"cells": cells}),
            IncludeObject::Metadata => json!({"cells": cells, "object": metadata_only(object)}),
            IncludeObject::Object => json!({"cells": cells, "object": object}),
        }
    };
    let mut list = json!({"resourceVersion": metadata["resourceVersion"]});
    for field in ["continue", "remainingItemCount"] {
        if !metadata[field].is_null() {
            list[field] = metadata[field].clone();
        }
    }
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": list,
        "columnDefinitions": columns.iter().map(definition).collect::<Vec<_>>(),
        "rows": objects.iter().map(row).collect::<Vec<_>>(),
    })
}

/// How long ago `since` (RFC 3339) was, as `kubectl` writes it: at most two units, coarser with age.
///
/// Follows `k8s.io/apimachinery/pkg/util/duration.HumanDuration`.
pub(crate) fn age(since: &Value, now: Timestamp) -> String {
    let Some(since) = since.as_str().and_then(|text| text.parse::<Timestamp>().ok()) else {
        return "<unknown>".to_owned();
    };
    let seconds = now.as_second().saturating_sub(since.as_second());
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    let seconds = seconds.max(0);
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    let pair = |big: i64, big_unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{big}{big_unit}"),
        _ => format!("{big}{big_unit}{small}{small_unit}"),
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => pair(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => pair(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if hours < 192 => pair(days, "d", hours % 24, "h"),
        () if days < 730 => format!("{days}d"),
        () if years < 8 => pair(years, "y", days % 365, "d"),
        () => format!("{years}y"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        let check = |seconds: i64, expected: &str| {
            let since = json!("2026-08-21T11:29:11Z");
            let then: Timestamp = "2026-08-21T11:29:11Z".parse().unwrap();
            let now = Timestamp::from_second(then.as_second() + seconds).unwrap();
            assert_eq!(age(&since, now), expected, "{seconds}");
        };
        check(-5, "<invalid>");
        check(0, "0s");
        check(119, "119s");
        check(120, "2m");
        check(150, "2m30s");
        check(600, "10m");
        check(10_800, "3h");
        check(12_000, "3h20m");
        check(30_000, "8h");
        check(200_000, "2d7h");
        check(700_000, "8d");
        check(70_000_000, "2y80d");
        assert_eq!(age(&Value::Null, Timestamp::UNIX_EPOCH), "<unknown>");
    }
}
