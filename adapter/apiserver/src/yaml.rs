//! JSON documents as YAML: the same content, for those who ask for it.
//!
//! Strings are quoted wherever any reader, Go's among them, could take them for something else.

use serde_json::Value;

/// The document as YAML, with a newline at its end; `None` if it is no JSON.
pub(crate) fn from_json(document: &[u8]) -> Option<Vec<u8>> {
    let document: Value = serde_json::from_slice(document).ok()?;
    // A message stays on its line, so that searching for its words finds it.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let mut text = serde_saphyr::to_string_with_options(&document, options).ok()?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Some(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn looks_as_people_write_it() {
        let list = json!({"items": [{"name": "web-0", "selector": null, "value": "1500m"}, {"name": "no"}], "metadata": {}});
        let expected = "\
items:
- name: web-0
  selector: null
  value: 1500m
- name: \"no\"
metadata: {}
";
        let yaml = String::from_utf8(from_json(list.to_string().as_bytes()).unwrap()).unwrap();
        assert_eq!(yaml, expected);
        assert_eq!(from_json(b"{"), None);
    }

    /// Words that some reader of YAML takes for something else than a string.
    fn tricky() -> impl Strategy<Value = String> {
        let words = [
            "",
            " ",
            "~",
            "null",
            "yes",
            "off",
            "y",
            "1500m",
            "0x1F",
            "1_000",
            "1:30",
            "1e3",
            ".5",
            "-",
            "- a",
            "a: b",
            "a #b",
            "@",
            "*a",
            "&a",
            "!a",
            "%a",
            "|",
            ">",
            "---",
            "...",
            "\n",
            "a\nb\n",
            "\t",
            "\"",
            "'",
            "2026-08-21T11:29:11Z",
            "2026-08-21",
            "\u{feff}",
            "\u{85}",
            "\u{2028}",
            "{",
            "[]",
            "?",
            "<<",
            "=",
        ];
        prop_oneof![prop::sample::select(words.map(str::to_owned).to_vec()), any::<String>()]
    }

    fn documents() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            tricky().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(tricky(), inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn is_read_as_what_it_was(document in documents()) {
            let yaml = String::from_utf8(from_json(document.to_string().as_bytes()).unwrap()).unwrap();
            let read: Result<Value, _> = serde_saphyr::from_str(&yaml);
            prop_assert_eq!(read.as_ref().ok(), Some(&document), "{:?}: {:?}", read, yaml);
        }
    }
}
