//! What an expression says, as a tree.

mod display;

use std::sync::Arc;

use crate::value::Type;
pub(crate) use crate::{
    error::Span,
    function::Function,
    matcher::{MatchOp, Matcher},
};

/// A part of an expression. Two are equal when they say the same, wherever they stand.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it says.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
    /// How many nodes deep it is.
    pub(crate) depth: usize,
}

/// What a part of an expression says.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `1.5`, `5m`
    Number(Number),
    /// `"text"`
    Text(Arc<str>),
    /// `name{label="value"} offset 5m @ 0`: each series' value at the instant.
    Selector(Selector),
    /// `name[5m]`: each series' samples before the instant.
    Range {
        /// Of which series; offset and `@` move the window.
        selector: Selector,
        /// The window's length, in milliseconds.
        range_ms: i64,
    },
    /// `expression[5m:1m]`: the expression's values at each step before the instant.
    Subquery {
        /// What is evaluated at each step.
        operand: Box<Expr>,
        /// The window's length, in milliseconds.
        range_ms: i64,
        /// From one step to the next, in milliseconds; the configuration's default without.
        step_ms: Option<i64>,
        /// How the window is moved.
        shift: Shift,
    },
    /// `-x`, `+x`
    Unary {
        /// Whether the sign is a minus.
        negates: bool,
        /// What it stands before.
        operand: Box<Expr>,
    },
    /// `a + b`
    Binary(Binary),
    /// `sum by (label) (x)`
    Aggregation(Aggregation),
    /// `rate(x[5m])`
    Call {
        /// Which function.
        function: &'static Function,
        /// With what.
        arguments: Vec<Expr>,
    },
    /// `(x)`
    Paren(Box<Expr>),
}

/// A number that stands in an expression; all NaN are equal.
#[derive(Clone, Copy, Debug)]
pub struct Number(pub f64);

/// Which series, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// The how-manieth selector of the expression it is, from 0.
    pub(crate) id: usize,
    /// What the series must fulfil; the metric's name is one of them.
    pub matchers: Vec<Matcher>,
    /// How the instant is moved.
    pub shift: Shift,
}

/// How a selector or a subquery moves the instant of its evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shift {
    /// `offset 5m`: how far into the past, in milliseconds; negative is into the future.
    pub offset_ms: i64,
    /// `@ 1609746000`: which instant instead.
    pub at: Option<At>,
}

/// An instant that an expression names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// Milliseconds since the epoch.
    Time(i64),
    /// `start()` of the query.
    Start,
    /// `end()` of the query.
    End,
}

/// Two operands and what is done with them.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// What is done.
    pub op: BinaryOp,
    /// Whether a comparison gives 1 and 0 in place of filtering.
    pub returns_bool: bool,
    /// Which elements meet.
    pub matching: Matching,
    /// Left of the operator.
    pub lhs: Box<Expr>,
    /// Right of it.
    pub rhs: Box<Expr>,
}

/// Which elements of two vectors meet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matching {
    /// `on (...)` in place of `ignoring (...)`.
    pub on: bool,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<Arc<str>>,
    /// Which side may have several elements for one of the other.
    pub cardinality: Cardinality,
    /// The labels that `group_left` or `group_right` takes from the side with one.
    pub include: Vec<Arc<str>>,
}

/// How many elements of each side may meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cardinality {
    /// One of each.
    #[default]
    OneToOne,
    /// `group_left`: several on the left for one on the right.
    ManyToOne,
    /// `group_right`: several on the right for one on the left.
    OneToMany,
}

/// A binary operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is its sign")]
pub enum BinaryOp {
    Or,
    And,
    Unless,
    Equal,
    NotEqual,
    LessOrEqual,
    Less,
    GreaterOrEqual,
    Greater,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Atan2,
    Power,
}

/// Elements put together by their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregation {
    /// What is made of a group.
    pub op: AggregateOp,
    /// `without (...)` in place of `by (...)`.
    pub without: bool,
    /// The labels of `by` or `without`.
    pub labels: Vec<Arc<str>>,
    /// The number or text that some aggregations take first.
    pub parameter: Option<Box<Expr>>,
    /// Of what.
    pub operand: Box<Expr>,
}

/// What an aggregation makes of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is its name")]
pub enum AggregateOp {
    Sum,
    Min,
    Max,
    Avg,
    Group,
    Stddev,
    Stdvar,
    Count,
    CountValues,
    Bottomk,
    Topk,
    Quantile,
}

// === impl Expr ===

impl Expr {
    /// What it is evaluated to.
    pub fn value_type(&self) -> Type {
        match &self.kind {
            ExprKind::Number(_) => Type::Scalar,
            ExprKind::Text(_) => Type::Text,
            ExprKind::Selector(_) | ExprKind::Aggregation(_) => Type::Vector,
            ExprKind::Range { .. } | ExprKind::Subquery { .. } => Type::Matrix,
            ExprKind::Unary { operand, .. } | ExprKind::Paren(operand) => operand.value_type(),
            ExprKind::Binary(binary) => match (binary.lhs.value_type(), binary.rhs.value_type()) {
                (Type::Scalar, Type::Scalar) => Type::Scalar,
                _ => Type::Vector,
            },
            ExprKind::Call { function, .. } => function.returns,
        }
    }

    /// The same without the parentheses around it.
    pub(crate) fn unparenthesized(&self) -> &Self {
        let mut expr = self;
        while let ExprKind::Paren(inner) = &expr.kind {
            expr = inner;
        }
        expr
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

// === impl Number ===

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits() || (self.0.is_nan() && other.0.is_nan())
    }
}

// === impl Selector ===

impl Selector {
    /// The one metric name that it asks for, if there is one.
    pub fn metric_name(&self) -> Option<&str> {
        self.matchers.iter().find_map(Matcher::exact_metric_name)
    }
}

// === impl BinaryOp ===

impl BinaryOp {
    /// Each with its sign.
    const ALL: [(&'static str, Self); 16] = [
        ("or", Self::Or),
        ("and", Self::And),
        ("unless", Self::Unless),
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        ("<=", Self::LessOrEqual),
        ("<", Self::Less),
        (">=", Self::GreaterOrEqual),
        (">", Self::Greater),
        ("+", Self::Add),
        ("-", Self::Subtract),
        ("*", Self::Multiply),
        ("/", Self::Divide),
        ("%", Self::Modulo),
        ("atan2", Self::Atan2),
        ("^", Self::Power),
    ];

    /// The operator that is written so.
    pub(crate) fn from_sign(sign: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(sign)).map(|(_, op)| *op)
    }

    /// How it is written.
    pub fn sign(self) -> &'static str {
        Self::ALL.iter().find(|(_, op)| *op == self).map_or("", |(sign, _)| sign)
    }

    /// How tightly it binds: the more, the tighter.
    pub(crate) fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Equal
            | Self::NotEqual
            | Self::LessOrEqual
            | Self::Less
            | Self::GreaterOrEqual
            | Self::Greater => 3,
            Self::Add | Self::Subtract => 4,
            Self::Multiply | Self::Divide | Self::Modulo | Self::Atan2 => 5,
            Self::Power => 6,
        }
    }

    /// Whether it compares.
    pub(crate) fn is_comparison(self) -> bool {
        self.precedence() == 3
    }

    /// Whether it works on which elements there are and not on their values.
    pub(crate) fn is_set(self) -> bool {
        matches!(self, Self::Or | Self::And | Self::Unless)
    }
}

// === impl AggregateOp ===

impl AggregateOp {
    /// Each with its name.
    const ALL: [(&'static str, Self); 12] = [
        ("sum", Self::Sum),
        ("min", Self::Min),
        ("max", Self::Max),
        ("avg", Self::Avg),
        ("group", Self::Group),
        ("stddev", Self::Stddev),
        ("stdvar", Self::Stdvar),
        ("count", Self::Count),
        ("count_values", Self::CountValues),
        ("bottomk", Self::Bottomk),
        ("topk", Self::Topk),
        ("quantile", Self::Quantile),
    ];

    /// The aggregation of that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, op)| *op)
    }

    /// All names.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().map(|(name, _)| *name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, op)| *op == self).map_or("", |(name, _)| name)
    }

    /// What it takes before the vector.
    pub(crate) fn parameter_type(self) -> Option<Type> {
        match self {
            Self::Bottomk | Self::Topk | Self::Quantile => Some(Type::Scalar),
            Self::CountValues => Some(Type::Text),
            _ => None,
        }
    }
}
