//! Go's templates, as far as rules use them: fields between `<<` and `>>`, and `index`.

use crate::resource::GroupResource;

/// A `metricsQuery`, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

/// A `resources.template`, read: how the label of a resource is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label(Vec<LabelPart>);

/// A part of a template and where it stands in its text, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    at: usize,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Text(String),
    Series,
    LabelMatchers,
    GroupBy,
    /// An entry of `.GroupBySlice`.
    GroupByEntry(usize),
    /// The values of a label in `.LabelValuesByName`.
    LabelValues(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum LabelPart {
    Text(String),
    Group,
    Resource,
}

/// What is put into a `metricsQuery`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields<'a> {
    pub(crate) series: &'a str,
    pub(crate) label_matchers: &'a str,
    /// Labels and their values, joined by `|`.
    pub(crate) label_values: &'a [(String, String)],
    pub(crate) group_by: &'a [String],
    /// What a label has whose values nobody asked for.
    pub(crate) other_values: &'a str,
}

/// What is wrong with a template, and where in its text, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TemplateError {
    pub(crate) at: usize,
    pub(crate) message: String,
}

/// A template with its fields filled in, and where its parts came from.
pub(crate) struct Filled {
    pub(crate) text: String,
    /// Where a part begins in `text`, where it stands in the template, and whether it was copied from there.
    origins: Vec<(usize, usize, bool)>,
}

const FIELDS: &str = "<<.Series>>, <<.LabelMatchers>>, <<.GroupBy>>, <<index .GroupBySlice 0>> and \
                      <<index .LabelValuesByName \"label\">>";

// === impl Template ===

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        for piece in pieces(text)? {
            let (at, what) = match piece {
                Piece::Text(at, text) => (at, What::Text(text.to_owned())),
                Piece::Action(at, action) => {
                    match field(action).map_err(|message| TemplateError { at, message })? {
                        Some(what) => (at, what),
                        None => continue,
                    }
                }
            };
            parts.push(Part { at, what });
        }
        Ok(Self(parts))
    }

    /// Whether it uses the values of a label by themselves.
    pub(crate) fn has_values_of(&self, label: &str) -> bool {
        self.0.iter().any(|part| matches!(&part.what, What::LabelValues(other) if other == label))
    }

    pub(crate) fn fill(&self, fields: &Fields<'_>) -> Filled {
        let mut filled = Filled { text: String::new(), origins: Vec::new() };
        for Part { at, what } in &self.0 {
            filled.origins.push((filled.text.len(), *at, matches!(what, What::Text(_))));
            match what {
                What::Text(text) => filled.text.push_str(text),
                What::Series => filled.text.push_str(fields.series),
                What::LabelMatchers => filled.text.push_str(fields.label_matchers),
                What::GroupBy => filled.text.push_str(&fields.group_by.join(",")),
                What::GroupByEntry(n) => {
                    filled.text.push_str(fields.group_by.get(*n).map_or("", String::as_str));
                }
                What::LabelValues(label) => {
                    let values = fields.label_values.iter().find(|(name, _)| name == label);
                    filled.text.push_str(values.map_or(fields.other_values, |(_, values)| values));
                }
            }
        }
        filled
    }
}

// === impl Filled ===

impl Filled {
    /// Where in the template the byte `at` of the text came from.
    pub(crate) fn origin(&self, at: usize) -> usize {
        let part = self.origins.iter().rev().find(|(start, ..)| *start <= at);
        part.map_or(0, |(start, from, copied)| from + if *copied { at - start } else { 0 })
    }
}

// === impl Label ===

impl Label {
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        for piece in pieces(text)? {
            match piece {
                Piece::Text(_, text) => parts.push(LabelPart::Text(text.to_owned())),
                Piece::Action(at, action) => match words(action).as_slice() {
                    [".Group"] => parts.push(LabelPart::Group),
                    [".Resource"] => parts.push(LabelPart::Resource),
                    [comment] if is_comment(comment) => {}
                    _ => {
                        let message =
                            format!("<<{action}>> is not supported here; write <<.Resource>> or <<.Group>>");
                        return Err(TemplateError { at, message });
                    }
                },
            }
        }
        if !parts.contains(&LabelPart::Resource) {
            let message =
                "the template must have <<.Resource>> somewhere, as in kube_<<.Resource>>".to_owned();
            return Err(TemplateError { at: 0, message });
        }
        let label = Self(parts);
        let example = label.of(&GroupResource::pods());
        if !is_label_name(&example) {
            let message = format!(
                "the label of pods would be {example:?}, which no label can be called; use letters, digits and _"
            );
            return Err(TemplateError { at: 0, message });
        }
        Ok(label)
    }

    /// The label of a resource: dots and dashes in its group become underscores.
    pub(crate) fn of(&self, resource: &GroupResource) -> String {
        let parts = self.0.iter().map(|part| match part {
            LabelPart::Text(text) => text.clone(),
            LabelPart::Group => resource.group.replace(['.', '-'], "_"),
            LabelPart::Resource => resource.singular().replace('-', "_"),
        });
        parts.collect()
    }
}

enum Piece<'t> {
    Text(usize, &'t str),
    /// What stands between `<<` and `>>`, trimmed.
    Action(usize, &'t str),
}

/// Texts and actions, with Go's marks for trimming white space applied.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let mut pieces = Vec::new();
    let (mut at, mut rest, mut trims) = (0, text, false);
    loop {
        let (mut before, behind) = match rest.split_once("<<") {
            Some((before, behind)) => (before, Some(behind)),
            None => (rest, None),
        };
        let start = at + before.len();
        if trims {
            let trimmed = before.trim_start();
            at += before.len() - trimmed.len();
            before = trimmed;
        }
        if behind.is_some_and(|behind| behind.starts_with("- ")) {
            before = before.trim_end();
        }
        if !before.is_empty() {
            pieces.push(Piece::Text(at, before));
        }
        let Some(behind) = behind else { return Ok(pieces) };
        let Some((action, after)) = behind.split_once(">>") else {
            let message = "this << is not closed; write >> behind the field".to_owned();
            return Err(TemplateError { at: start, message });
        };
        trims = action.ends_with(" -");
        let inner = action.strip_prefix("- ").unwrap_or(action);
        let inner = inner.strip_suffix(" -").unwrap_or(inner);
        pieces.push(Piece::Action(start, inner.trim()));
        at = start + "<<".len() + action.len() + ">>".len();
        rest = after;
    }
}

/// What a `metricsQuery`'s action means; nothing for a comment.
fn field(action: &str) -> Result<Option<What>, String> {
    let unknown = |word: &str| format!("<<{word}>> is not supported; a metricsQuery may have {FIELDS}");
    let what = match words(action).as_slice() {
        [".Series"] => What::Series,
        [".LabelMatchers"] => What::LabelMatchers,
        [".GroupBy"] => What::GroupBy,
        [".GroupBySlice"] => {
            return Err("<<.GroupBySlice>> is a list; write <<.GroupBy>>, or <<index .GroupBySlice 0>> for one of its labels".to_owned());
        }
        [".LabelValuesByName"] => {
            return Err(
                "<<.LabelValuesByName>> is a map; write <<index .LabelValuesByName \"label\">>".to_owned()
            );
        }
        ["index", ".LabelValuesByName", key] | ["index", "$.LabelValuesByName", key] => {
            let label = key.strip_prefix('"').and_then(|key| key.strip_suffix('"'));
            let label = label.or_else(|| key.strip_prefix('`').and_then(|key| key.strip_suffix('`')));
            let label = label.filter(|label| !label.contains(['"', '\\', '`']));
            What::LabelValues(
                label
                    .ok_or_else(|| {
                        format!(
                            "{key} is no label between quotes; write <<index .LabelValuesByName \"label\">>"
                        )
                    })?
                    .to_owned(),
            )
        }
        ["index", ".GroupBySlice", n] => {
            let n = n.parse().map_err(|_| format!("{n} is no number; write <<index .GroupBySlice 0>>"))?;
            What::GroupByEntry(n)
        }
        [word] if is_comment(word) => return Ok(None),
        [word] => match word.strip_prefix(".LabelValuesByName.") {
            Some(label) if is_label_name(label) => What::LabelValues(label.to_owned()),
            _ => return Err(unknown(action)),
        },
        [keyword @ ("if" | "else" | "end" | "range" | "with" | "define" | "template" | "block"), ..] => {
            return Err(format!(
                "<<{keyword} ...>> is not supported: rules are queries with fields filled in; write two rules, or one that needs no choice. A metricsQuery may have {FIELDS}"
            ));
        }
        _ => return Err(unknown(action)),
    };
    Ok(Some(what))
}

/// The words of an action; what is between quotes is one of them, and so is a comment.
fn words(action: &str) -> Vec<&str> {
    if is_comment(action) {
        return vec![action];
    }
    let mut words = Vec::new();
    let mut rest = action.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' | '`' => rest.get(1..).and_then(|inner| inner.find(first)).map(|end| end + 2),
            _ => rest.find(char::is_whitespace),
        };
        let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
        words.push(word);
        rest = behind.trim_start();
    }
    words
}

fn is_comment(action: &str) -> bool {
    action.starts_with("/*") && action.ends_with("*/")
}

/// Whether a label can be called so.
pub(crate) fn is_label_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_filled_in() {
        let group_by = ["pod".to_owned(), "code".to_owned()];
        let values = [("pod".to_owned(), "a|b".to_owned())];
        let fields = Fields {
            series: "x",
            label_matchers: r#"pod=~"a|b""#,
            label_values: &values,
            group_by: &group_by,
            other_values: "",
        };
        let check = |template: &str, want: &str| {
            assert_eq!(Template::parse(template).unwrap().fill(&fields).text, want, "{template}");
        };
        check(
            "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)",
            r#"sum(x{pod=~"a|b"}) by (pod,code)"#,
        );
        check("<< .Series >>", "x");
        check("a <<- .Series ->> b", "axb");
        check("<<index .LabelValuesByName \"pod\">>", "a|b");
        check("<<.LabelValuesByName.pod>>,<<.LabelValuesByName.other>>", "a|b,");
        check("<<index .GroupBySlice 1>><<index .GroupBySlice 2>>", "code");
        check("<</* why */>>1", "1");
        check("1 > 2 < 3", "1 > 2 < 3");
    }

    #[test]
    fn what_is_no_template_is_placed() {
        let check = |template: &str, at: usize, want: &str| {
            let error = Template::parse(template).unwrap_err();
            assert!(error.message.contains(want), "{template}: {}", error.message);
            assert_eq!(error.at, at, "{template}");
        };
        check("sum(<<.Series)", 4, "not closed");
        check("sum(<<.Serie>>)", 4, "<<.Serie>> is not supported");
        check("<<if .Series>>x<<end>>", 0, "<<if ...>> is not supported");
        check("<<.GroupBySlice>>", 0, "is a list");
        check("<<.LabelValuesByName>>", 0, "is a map");
        check("<<.Series | printf>>", 0, "is not supported");
        check("<<index .LabelValuesByName pod>>", 0, "no label between quotes");
        check("<<index .GroupBySlice x>>", 0, "no number");
        check("<<>>", 0, "not supported");
    }

    #[test]
    fn a_place_in_the_query_leads_back_to_the_template() {
        let template = Template::parse("a<<.Series>>b<<.Series>>").unwrap();
        let filled = template.fill(&Fields { series: "xyz", ..Fields::default() });
        assert_eq!(filled.text, "axyzbxyz");
        for (at, origin) in [(0, 0), (1, 1), (3, 1), (4, 12), (5, 13), (8, 13)] {
            assert_eq!(filled.origin(at), origin, "{at}");
        }
    }

    #[test]
    fn labels_are_made_of_resources() {
        let check = |template: &str, resource: &str, want: &str| {
            let resource = GroupResource::of_segment(resource).unwrap();
            assert_eq!(Label::parse(template).unwrap().of(&resource), want);
        };
        check("<<.Resource>>", "pods", "pod");
        check(
            "kube_<<.Group>>_<<.Resource>>",
            "ingresses.networking.k8s.io",
            "kube_networking_k8s_io_ingress",
        );
        for (template, want) in [
            ("pod", "<<.Resource>> somewhere"),
            ("<<.Name>>", "not supported"),
            ("<<.Resource>>-x", "no label"),
        ] {
            assert!(Label::parse(template).unwrap_err().message.contains(want), "{template}");
        }
    }
}
