//! The statistics plugin's answer: a Java map that ActiveMQ wrote as JSON (`transformation:jms-map-json`).
//!
//! An entry is an object whose `string` is the key and whose other member, named for the value's Java type, is the
//! value: `{"string":"size","long":5}`. When the value is a string too, `string` is an array of both.

use serde_json::Value;
use std::collections::HashMap;

/// The whole numbers of the answer by name; none when it is no such map.
pub(super) fn parse(body: &[u8]) -> Option<HashMap<String, u64>> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let entries = answer.get("map")?.get("entry")?.as_array()?;
    Some(entries.iter().filter_map(number).collect())
}

fn number(entry: &Value) -> Option<(String, u64)> {
    let name = entry.get("string")?.as_str()?;
    let value = entry.get("long").or_else(|| entry.get("int"))?.as_u64()?;
    Some((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_found_among_the_rest() {
        let body = br#"{"map":{"entry":[{"string":"dequeueCount","long":2},{"string":["brokerId","ID:x"]},
            {"string":"memoryPercentUsage","int":15},{"string":"averageEnqueueTime","double":1424.1},
            {"string":"odd","long":-1},{"long":7},{"string":"size","long":3}]}}"#;
        let expected = [("dequeueCount", 2), ("memoryPercentUsage", 15), ("size", 3)];
        assert_eq!(parse(body), Some(expected.map(|(name, value)| (name.to_owned(), value)).into()));
    }

    #[test]
    fn anything_else_is_no_answer() {
        let bodies: [&[u8]; 6] =
            [b"", b"\xff", b"[]", b"{\"map\":{}}", b"{\"map\":{\"entry\":{}}}", b"<map/>"];
        for body in bodies {
            assert_eq!(parse(body), None, "{body:?}");
        }
    }
}
