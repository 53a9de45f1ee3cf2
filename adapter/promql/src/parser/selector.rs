//! Selectors: names, matchers, ranges, subqueries, offsets and `@`.

use std::sync::Arc;

use super::{Parser, UNMOVED, instant};
use crate::{
    ast::{At, Expr, ExprKind, MatchOp, Matcher, Selector, Span},
    error::ParseError,
    labels::METRIC_NAME,
    lexer::TokenKind,
    matcher::Pattern,
    value::Type,
};

impl Parser<'_> {
    /// A selector whose name, if it has one, was read already.
    pub(super) fn selector(&mut self, name: Option<&str>, span: Span) -> Result<Expr, ParseError> {
        let matchers = self.matchers(name)?;
        let span = Span::new(span.start, self.behind.max(span.end));
        // An empty matcher alone would select everything there is, most often by mistake.
        if matchers.iter().all(|matcher| matcher.matches("")) {
            let message =
                "the selector would match every series; name a metric or a label that must not be empty";
            return Err(self.error(span, message.to_owned()));
        }
        for word in ["anchored", "smoothed"] {
            if self.is_word(word) {
                let instead = "it is experimental; rate, increase and delta extrapolate to the range's ends by themselves";
                return Err(self.error(self.token.span, format!("{word} is not supported: {instead}")));
            }
        }
        let id = self.selectors;
        self.selectors += 1;
        let limit = self.config.bounds.selectors;
        if self.selectors > limit {
            return Err(self.error(span, format!("the expression has more than {limit} selectors; split it")));
        }
        self.node(ExprKind::Selector(Selector { id, matchers, shift: UNMOVED }), span)
    }

    /// What stands between braces, if there are any, behind a name.
    pub(super) fn matchers(&mut self, name: Option<&str>) -> Result<Vec<Matcher>, ParseError> {
        let mut matchers: Vec<Matcher> =
            name.map(|name| Matcher::equal(METRIC_NAME, name)).into_iter().collect();
        if !self.is_sign("{") {
            return Ok(matchers);
        }
        self.advance()?;
        let mut named = name.is_some();
        while !self.is_sign("}") {
            let span = self.token.span;
            let quoted = matches!(self.token.kind, TokenKind::Text(_));
            let label = self.label_name()?;
            let matcher = if quoted && (self.is_sign(",") || self.is_sign("}")) {
                if named {
                    return Err(self.named_twice(span));
                }
                named = true;
                Matcher::equal(METRIC_NAME, label)
            } else {
                if name.is_some() && &*label == METRIC_NAME {
                    return Err(self.named_twice(span));
                }
                self.matcher(label)?
            };
            matchers.push(matcher);
            self.check_list(matchers.len())?;
            if self.is_sign(",") {
                self.advance()?;
            } else if !self.is_sign("}") {
                return Err(self.unexpected("a comma or a closing brace"));
            }
        }
        self.advance()?;
        Ok(matchers)
    }

    fn named_twice(&self, span: Span) -> ParseError {
        self.error(
            span,
            "the metric's name is set twice; write it before the braces or inside them".to_owned(),
        )
    }

    fn matcher(&mut self, name: Arc<str>) -> Result<Matcher, ParseError> {
        let op = match self.token.kind {
            TokenKind::Sign("=") => MatchOp::Equal,
            TokenKind::Sign("!=") => MatchOp::NotEqual,
            TokenKind::Sign("=~") => MatchOp::Regex,
            TokenKind::Sign("!~") => MatchOp::NotRegex,
            _ => return Err(self.unexpected("one of =, !=, =~ and !~")),
        };
        self.advance()?;
        let span = self.token.span;
        let TokenKind::Text(value) = self.token.kind.clone() else {
            return Err(self.unexpected("the label's value between quotes"));
        };
        let pattern = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(self.pattern(&value, span)?),
        };
        self.advance()?;
        Ok(Matcher::new(name, op, value.into(), pattern))
    }

    fn pattern(&mut self, text: &str, span: Span) -> Result<Pattern, ParseError> {
        let pattern = Pattern::new(text, &self.config.bounds, self.config.dialect)
            .map_err(|error| self.error(span, format!("not a regular expression: {}", error.0)))?;
        if pattern.is_regex() {
            self.count_regex(span)?;
        }
        Ok(pattern)
    }

    /// Counts a regular expression against the bound.
    pub(super) fn count_regex(&mut self, span: Span) -> Result<(), ParseError> {
        self.regexes += 1;
        let limit = self.config.bounds.regexes;
        if self.regexes > limit {
            let message = format!(
                "the expression has more than {limit} regular expressions; use fewer, or lists such as a|b|c"
            );
            return Err(self.error(span, message));
        }
        Ok(())
    }

    /// `[5m]` or `[5m:1m]` behind an expression.
    pub(super) fn range(&mut self, expr: Expr) -> Result<Expr, ParseError> {
        let bracket = self.token.span;
        self.advance()?;
        let range_ms = self.positive_duration("the range")?;
        if self.is_sign(":") {
            self.advance()?;
            let step_ms = if self.is_sign("]") { None } else { Some(self.positive_duration("the step")?) };
            let span = expr.span.to(self.expect("]", "a closing bracket")?);
            if expr.value_type() != Type::Vector {
                let message = format!(
                    "a subquery is made of an instant vector, and this is a {}",
                    expr.value_type().name()
                );
                return Err(self.error(expr.span, message));
            }
            let kind = ExprKind::Subquery { operand: Box::new(expr), range_ms, step_ms, shift: UNMOVED };
            return self.node(kind, span);
        }
        let span = expr.span.to(self.expect("]", "a closing bracket, or a colon and a step")?);
        match expr.kind {
            ExprKind::Selector(selector) if selector.shift == UNMOVED => {
                self.node(ExprKind::Range { selector, range_ms }, span)
            }
            ExprKind::Selector(_) => {
                Err(self.error(bracket, "the range stands before offset and @: x[5m] offset 1h".to_owned()))
            }
            _ => {
                let message =
                    "only a selector has a range; an expression has a subquery, with a colon: (...)[5m:1m]";
                Err(self.error(bracket, message.to_owned()))
            }
        }
    }

    fn positive_duration(&mut self, what: &str) -> Result<i64, ParseError> {
        let span = self.token.span;
        let millis = self.duration(what)?;
        if millis > 0 { Ok(millis) } else { Err(self.error(span, format!("{what} must be longer than 0"))) }
    }

    /// `offset 5m` or `@ 1609746000` behind an expression.
    pub(super) fn shift(&mut self, mut expr: Expr) -> Result<Expr, ParseError> {
        let keyword = self.token.span;
        let is_offset = !self.is_sign("@");
        self.advance()?;
        let mut shift = match &expr.kind {
            ExprKind::Selector(selector) | ExprKind::Range { selector, .. } => selector.shift,
            ExprKind::Subquery { shift, .. } => *shift,
            _ => {
                let message = "offset and @ stand behind a selector, a range or a subquery alone";
                return Err(self.error(keyword, message.to_owned()));
            }
        };
        if is_offset {
            if shift.offset_ms != 0 {
                return Err(self.error(keyword, "the offset is set twice; write one".to_owned()));
            }
            let sign = self.sign()?;
            shift.offset_ms = sign * self.duration("the offset")?;
        } else {
            if shift.at.is_some() {
                return Err(self.error(keyword, "@ is set twice; write one".to_owned()));
            }
            shift.at = Some(self.at()?);
        }
        let end = self.behind;
        match &mut expr.kind {
            ExprKind::Selector(selector) | ExprKind::Range { selector, .. } => selector.shift = shift,
            ExprKind::Subquery { shift: place, .. } => *place = shift,
            _ => {}
        }
        expr.span.end = end;
        Ok(expr)
    }

    fn at(&mut self) -> Result<At, ParseError> {
        let start = self.token.span;
        if self.token.kind == TokenKind::Word && self.followed_by_parenthesis() {
            let at = match self.word() {
                "start" => At::Start,
                "end" => At::End,
                _ => return Err(self.unexpected("start() or end()")),
            };
            self.advance()?;
            self.expect("(", "an opening parenthesis")?;
            self.expect(")", "a closing parenthesis")?;
            return Ok(at);
        }
        let sign = self.sign()?;
        let seconds = match self.token.kind {
            TokenKind::Number(seconds) => seconds,
            TokenKind::Duration(millis) => millis as f64 / 1_000.0,
            _ => return Err(self.unexpected("a time in seconds since the epoch, start() or end()")),
        };
        let span = start.to(self.token.span);
        self.advance()?;
        instant(sign as f64 * seconds).ok_or_else(|| {
            self.error(span, "the time is out of range; write seconds since the epoch".to_owned())
        })
    }

    fn sign(&mut self) -> Result<i64, ParseError> {
        let negative = self.is_sign("-");
        if negative || self.is_sign("+") {
            self.advance()?;
        }
        Ok(if negative { -1 } else { 1 })
    }
}
