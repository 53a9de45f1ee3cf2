//! What is done with one number.

/// The sign as a number; NaN and zeros stay what they are.
pub(crate) fn sgn(value: f64) -> f64 {
    if value > 0.0 {
        1.0
    } else if value < 0.0 {
        -1.0
    } else {
        value
    }
}

/// The nearest multiple of `to`; halves go up.
pub(super) fn round(value: f64, to: f64) -> f64 {
    // Prometheus multiplies by the inverse, which rounds differently than dividing.
    let inverse = 1.0 / to;
    (value * inverse + 0.5).floor() / inverse
}

/// The value, at least `min` and at most `max`; NaN if any of them is.
pub(super) fn clamp(value: f64, min: f64, max: f64) -> f64 {
    greater(min, lesser(max, value))
}

/// The greater one; NaN if either is.
pub(super) fn greater(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// The lesser one; NaN if either is.
pub(super) fn lesser(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}
