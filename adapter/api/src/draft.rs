//! An answer that is being put together, in the form that the request wants.

use std::time::Duration;

use podgauge_apiserver::{Answer, Representation, Request, Selector, Table};

use crate::{
    Quantity, Version,
    document::{Document, Object},
    table,
    tally::Value,
};

/// The answer that is being put together.
pub(crate) enum Draft {
    List(Document),
    Table(Table),
}

// === impl Draft ===

impl Draft {
    pub(crate) fn new(
        version: Version,
        request: &Request,
        metric: &str,
        series: &Selector,
        items: usize,
    ) -> Self {
        match request.representation {
            Representation::Object => Self::List(Document::new(version, metric, series, items)),
            Representation::Table => Self::Table(table::new()),
        }
    }

    pub(crate) fn push(
        &mut self,
        object: Object<'_>,
        metric: &str,
        value: &Value,
        quantity: Quantity,
        age: Duration,
    ) {
        match self {
            Self::List(document) => document.push(object, value, quantity),
            Self::Table(table) => table.rows.push(table::row(object, metric, value, quantity, age)),
        }
    }

    pub(crate) fn finish(self) -> Answer {
        match self {
            Self::List(document) => Answer::Json(document.finish()),
            Self::Table(table) => Answer::Table(table),
        }
    }
}
