//! Field selectors: `metadata.name` and `metadata.namespace`, and no others.

use podgauge_apiserver::Status;

/// Which objects a field selector leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSelector<'a> {
    requirements: Vec<Requirement<'a>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement<'a> {
    field: Field,
    equal: bool,
    value: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Name,
    Namespace,
}

// === impl FieldSelector ===

impl<'a> FieldSelector<'a> {
    /// Reads `field=value`, `field==value` and `field!=value`, joined by commas.
    ///
    /// # Errors
    /// 400 for anything else and for other fields.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Status> {
        let requirements = text.split(',').filter(|part| !part.is_empty()).map(Requirement::parse);
        Ok(Self { requirements: requirements.collect::<Result<_, _>>()? })
    }

    /// Whether an object of this name and namespace is left.
    pub(crate) fn matches(&self, namespace: &str, name: &str) -> bool {
        self.requirements.iter().all(|requirement| {
            let actual = match requirement.field {
                Field::Name => name,
                Field::Namespace => namespace,
            };
            (actual == requirement.value) == requirement.equal
        })
    }
}

// === impl Requirement ===

impl<'a> Requirement<'a> {
    fn parse(text: &'a str) -> Result<Self, Status> {
        let (field, equal, value) = text
            .split_once("!=")
            .map(|(field, value)| (field, false, value))
            .or_else(|| text.split_once("==").map(|(field, value)| (field, true, value)))
            .or_else(|| text.split_once('=').map(|(field, value)| (field, true, value)))
            .ok_or_else(|| {
                Status::bad_request(format!(
                    "invalid field selector {text:?}: write field=value or field!=value"
                ))
            })?;
        let field = match field {
            "metadata.name" => Field::Name,
            "metadata.namespace" => Field::Namespace,
            other => {
                return Err(Status::bad_request(format!(
                    "field label not supported: {other:?}; use metadata.name or metadata.namespace"
                )));
            }
        };
        Ok(Self { field, equal, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selects() {
        let check = |text: &str, want: bool| {
            assert_eq!(FieldSelector::parse(text).unwrap().matches("shop", "web-0"), want, "{text}");
        };
        check("", true);
        check("metadata.name=web-0", true);
        check("metadata.name==web-0", true);
        check("metadata.name!=web-0", false);
        check("metadata.name=web-1", false);
        check("metadata.namespace=shop,metadata.name=web-0", true);
        check("metadata.namespace=other,metadata.name=web-0", false);
    }

    #[test]
    fn refuses() {
        for text in ["metadata.name", "status.phase=Running", "=", "spec.nodeName!=a"] {
            assert_eq!(FieldSelector::parse(text).unwrap_err().code, 400, "{text}");
        }
    }
}
