//! The fields of a rule as they are written.

use podgauge_promql::nearest;

use super::Report;
use crate::{
    Config,
    yaml::{Key, Node, Place, Value},
};

/// The fields of a map, of which each is asked for once.
#[derive(Debug)]
pub(super) struct Fields<'n> {
    pub(super) place: Place,
    entries: &'n [(Key, Node)],
    config: &'n Config,
}

/// A text and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'n> {
    pub(super) text: &'n str,
    pub(super) place: Place,
}

// === impl Fields ===

impl<'n> Fields<'n> {
    /// The fields of a node that must be a map.
    pub(super) fn of(node: &'n Node, config: &'n Config, report: &mut Report<'_>) -> Option<Self> {
        let entries = match &node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            other => {
                report.error(
                    node.place,
                    format!("this is {}; write fields, one a line: \"name: value\"", other.noun()),
                );
                return None;
            }
        };
        if entries.len() > config.entries {
            let most = config.entries;
            report.error(node.place, format!("there are {} entries, at most {most} are read", entries.len()));
            return None;
        }
        Some(Self { place: node.place, entries, config })
    }

    /// Reports every field that is none of `known`.
    pub(super) fn check_known(&self, known: &[&str], report: &mut Report<'_>) -> Option<()> {
        let mut good = Some(());
        for (key, _) in self.entries {
            if !known.contains(&&*key.text) {
                report.error(key.place, unknown(&key.text, known));
                good = None;
            }
        }
        good
    }

    pub(super) fn node(&self, name: &str) -> Option<&'n Node> {
        let node = self.entries.iter().find(|(key, _)| key.text == name).map(|(_, node)| node)?;
        (!matches!(node.value, Value::Null)).then_some(node)
    }

    pub(super) fn entries(&self) -> &'n [(Key, Node)] {
        self.entries
    }

    pub(super) fn config(&self) -> &'n Config {
        self.config
    }

    /// A text, if the field is there. `Err` after what is wrong with it was reported.
    pub(super) fn text(&self, name: &str, report: &mut Report<'_>) -> Result<Option<Text<'n>>, Reported> {
        let Some(node) = self.node(name) else { return Ok(None) };
        report.within(name, |report| self.text_of(node, report)).map(Some)
    }

    pub(super) fn text_of(&self, node: &'n Node, report: &mut Report<'_>) -> Result<Text<'n>, Reported> {
        let text = match &node.value {
            Value::Text(text) => text.as_str(),
            Value::Bool(true) => "true",
            Value::Bool(false) => "false",
            other => {
                report.error(node.place, format!("this is {}; write a text between quotes", other.noun()));
                return Err(Reported);
            }
        };
        let most = self.config.text_bytes;
        if text.len() > most {
            report.error(node.place, format!("the text has {} bytes, at most {most} are read", text.len()));
            return Err(Reported);
        }
        Ok(Text { text, place: node.place })
    }

    /// True or false, if the field is there.
    pub(super) fn flag(&self, name: &str, report: &mut Report<'_>) -> Result<Option<bool>, Reported> {
        match self.node(name).map(|node| (&node.value, node.place)) {
            None => Ok(None),
            Some((Value::Bool(value), _)) => Ok(Some(*value)),
            Some((other, place)) => {
                report.within(name, |report| {
                    report.error(
                        place,
                        format!("this is {}; write true or false, without quotes", other.noun()),
                    );
                });
                Err(Reported)
            }
        }
    }
}

/// What is wrong was reported.
#[derive(Debug)]
pub(super) struct Reported;

/// A field that nobody knows.
pub(super) fn unknown(name: &str, known: &[&str]) -> String {
    let shown: String = name.chars().take(64).collect();
    let begun = || known.iter().copied().find(|known| name.len() >= 3 && known.starts_with(name));
    match nearest(name, known.iter().copied()).or_else(begun) {
        Some(near) => format!("there is no field {shown:?}; did you mean {near:?}?"),
        None => format!("there is no field {shown:?}; there are {}", known.join(", ")),
    }
}
