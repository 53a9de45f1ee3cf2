//! Kubernetes' quantities as numbers, for comparing alone: precise enough for that.

/// The number of a quantity such as `1500m`, `2k`, `3Gi` or `12e3`.
pub(super) fn number(text: &str) -> Option<f64> {
    const SUFFIXES: [(&str, f64); 16] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
        ("", 1.0),
    ];
    let parsed = SUFFIXES.iter().find_map(|(suffix, scale)| {
        let digits = text.strip_suffix(suffix)?;
        digits.parse::<f64>().ok().map(|number| number * scale)
    });
    parsed.filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_numbers() {
        for (text, want) in [
            ("0", Some(0.0)),
            ("1500m", Some(1.5)),
            ("-250m", Some(-0.25)),
            ("2k", Some(2e3)),
            ("3Ki", Some(3072.0)),
            ("5E", Some(5e18)),
            ("12e3", Some(12e3)),
            ("1.5", Some(1.5)),
            ("", None),
            ("m", None),
            ("1x", None),
            ("NaN", None),
        ] {
            assert_eq!(number(text), want, "{text}");
        }
    }
}
