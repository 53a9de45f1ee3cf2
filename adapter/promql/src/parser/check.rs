//! What parts may be put together: types, numbers of arguments, and literals that must make sense.

use super::Parser;
use crate::{
    ast::{Aggregation, Binary, Cardinality, Expr, ExprKind, Function, Span},
    error::ParseError,
    function::{Body, Special},
    matcher::compile,
    value::Type,
};

impl Parser<'_> {
    pub(super) fn check_sign(&self, operand: &Expr) -> Result<(), ParseError> {
        match operand.value_type() {
            Type::Scalar | Type::Vector => Ok(()),
            other => {
                let message = format!(
                    "a sign stands before a scalar or an instant vector, and this is a {}",
                    other.name()
                );
                Err(self.error(operand.span, message))
            }
        }
    }

    pub(super) fn check_binary(&self, binary: &Binary, op_span: Span) -> Result<(), ParseError> {
        let Binary { op, returns_bool, matching, lhs, rhs } = binary;
        let sign = op.sign();
        for side in [lhs, rhs] {
            if !matches!(side.value_type(), Type::Scalar | Type::Vector) {
                let message = format!(
                    "{sign} takes scalars and instant vectors, and this is a {}",
                    side.value_type().name()
                );
                return Err(self.error(side.span, message));
            }
        }
        let scalars = [lhs, rhs].iter().filter(|side| side.value_type() == Type::Scalar).count();
        if *returns_bool && !op.is_comparison() {
            return Err(
                self.error(op_span, format!("bool stands behind comparisons alone, not behind {sign}"))
            );
        }
        if op.is_comparison() && !returns_bool && scalars == 2 {
            return Err(self.error(op_span, format!("a comparison of two scalars needs bool: {sign} bool")));
        }
        if op.is_set() && scalars > 0 {
            let message = format!("{sign} works on two instant vectors; write vector(...) around the scalar");
            return Err(self.error(op_span, message));
        }
        if op.is_set() && matching.cardinality != Cardinality::OneToOne {
            return Err(self
                .error(op_span, format!("{sign} cannot be grouped; leave group_left and group_right out")));
        }
        if scalars > 0 && (!matching.labels.is_empty() || matching.cardinality != Cardinality::OneToOne) {
            let message =
                "only two instant vectors are matched by labels; leave on, ignoring and group_... out";
            return Err(self.error(op_span, message.to_owned()));
        }
        if let Some(label) =
            matching.include.iter().find(|label| matching.on && matching.labels.contains(label))
        {
            let message =
                format!("label {label} stands in on (...) and in group_... (...); on alone is enough");
            return Err(self.error(op_span, message));
        }
        Ok(())
    }

    pub(super) fn check_aggregation(&self, aggregation: &Aggregation) -> Result<(), ParseError> {
        let name = aggregation.op.name();
        if let (Some(parameter), Some(wanted)) = (&aggregation.parameter, aggregation.op.parameter_type()) {
            self.check_type(parameter, wanted, name)?;
            if let ExprKind::Text(label) = &parameter.unparenthesized().kind {
                self.check_label(label, parameter.span)?;
            }
        }
        self.check_type(&aggregation.operand, Type::Vector, name)
    }

    pub(super) fn check_call(
        &mut self,
        function: &Function,
        arguments: &[Expr],
        span: Span,
    ) -> Result<(), ParseError> {
        let fits = arguments.len() >= function.fewest()
            && function.most().is_none_or(|most| arguments.len() <= most);
        if !fits {
            let message = format!(
                "{} does not take {} argument(s); write {}",
                function.name,
                arguments.len(),
                function.signature()
            );
            return Err(self.error(span, message));
        }
        for (index, argument) in arguments.iter().enumerate() {
            if let Some(wanted) = function.argument(index) {
                self.check_type(argument, wanted, function.name)?;
            }
        }
        let text = |index: usize| match arguments
            .get(index)
            .map(|argument| (&argument.unparenthesized().kind, argument.span))
        {
            Some((ExprKind::Text(text), span)) => Some((text, span)),
            _ => None,
        };
        match function.body {
            Body::Special(Special::LabelReplace) => {
                if let Some((label, span)) = text(1) {
                    self.check_label(label, span)?;
                }
                if let Some((pattern, span)) = text(4) {
                    compile(pattern, &self.config.bounds, self.config.dialect).map_err(|error| {
                        self.error(span, format!("not a regular expression: {}", error.0))
                    })?;
                    self.count_regex(span)?;
                }
            }
            Body::Special(Special::LabelJoin) => {
                for index in (1..arguments.len()).filter(|index| *index != 2) {
                    if let Some((label, span)) = text(index) {
                        self.check_label(label, span)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn check_label(&self, label: &str, span: Span) -> Result<(), ParseError> {
        if label.is_empty() {
            Err(self.error(span, "a label's name cannot be empty".to_owned()))
        } else {
            Ok(())
        }
    }

    fn check_type(&self, expr: &Expr, wanted: Type, what: &str) -> Result<(), ParseError> {
        let found = expr.value_type();
        if found == wanted {
            return Ok(());
        }
        let instead = match (wanted, found) {
            (Type::Matrix, Type::Vector) => match &expr.kind {
                ExprKind::Selector(_) => "; write a range behind it, such as [5m]",
                _ => "; write a subquery behind it, such as [5m:1m]",
            },
            (Type::Vector, Type::Matrix) => {
                "; leave the range out, or put rate(...) or last_over_time(...) around it"
            }
            (Type::Vector, Type::Scalar) => "; write vector(...) around it",
            (Type::Scalar, Type::Vector) => "; write scalar(...) around it",
            (Type::Text, _) => "; write it between quotes",
            _ => "",
        };
        let message =
            format!("{what} takes a {} here, and this is a {}{instead}", wanted.name(), found.name());
        Err(self.error(expr.span, message))
    }
}
