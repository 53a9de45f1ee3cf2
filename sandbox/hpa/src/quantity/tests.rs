use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Quantity {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What the text is to the HPA, and how it is written again.
fn check(text: &str, milli: i64, canonical: &str) {
    let quantity = read(text);
    assert_eq!(quantity.milli(), milli, "thousandths of {text}");
    assert_eq!(quantity.to_string(), canonical, "canonical form of {text}");
    assert_eq!(read(canonical), quantity, "{text} is not the number that {canonical} is");
}

#[test]
fn reads_and_writes() {
    check("0", 0, "0");
    check("-0", 0, "0");
    check("10", 10_000, "10");
    check("+10", 10_000, "10");
    check("0010", 10_000, "10");
    check("0.1", 100, "100m");
    check(".5", 500, "500m");
    check("5.", 5_000, "5");
    check("1.5", 1_500, "1500m");
    check("-1.5", -1_500, "-1500m");
    check("1000", 1_000_000, "1k");
    check("1500", 1_500_000, "1500");
    check("12300", 12_300_000, "12300");
    check("1500000", 1_500_000_000, "1500k");
    check("1k", 1_000_000, "1k");
    check("2M", 2_000_000_000, "2M");
    check("3G", 3_000_000_000_000, "3G");
    check("1T", 1_000_000_000_000_000, "1T");
    check("1e3", 1_000_000, "1e3");
    check("1E3", 1_000_000, "1e3");
    check("1e+3", 1_000_000, "1e3");
    check("15e-1", 1_500, "1500e-3");
}

#[test]
fn rounds_thousandths_away_from_zero() {
    check("1n", 1, "1n");
    check("1u", 1, "1u");
    check("-1n", -1, "-1n");
    check("1000001n", 2, "1000001n");
    check("-1000001n", -2, "-1000001n");
    check("1.0001", 1_001, "1000100u");
    check("999999999n", 1_000, "999999999n");
}

#[test]
fn reads_binary_suffixes() {
    check("1Ki", 1_024_000, "1Ki");
    check("1024Ki", 1_048_576_000, "1Mi");
    check("1.5Ki", 1_536_000, "1536");
    check("0.5Ki", 512_000, "512");
    check("64Mi", 67_108_864_000, "64Mi");
    check("512Ei", i64::MAX.wrapping_mul(1000), "9223372036854775807");
}

/// Where upstream wraps or gives 0 instead of a large number.
#[test]
fn overflows_as_upstream_does() {
    check("9223372036854775", 9_223_372_036_854_775_000, "9223372036854775");
    check("9223372036854776", 9_223_372_036_854_776_000_u64.cast_signed(), "9223372036854776");
    check("10000000000000000", 10_000_000_000_000_000i64.wrapping_mul(1000), "10P");
    check("10000000000000k", 10_000_000_000_000i64.wrapping_mul(1_000_000), "10P");
    check("10000000G", 0, "10P");
    check("10P", 0, "10P");
    check("1E", 0, "1E");
    // Nineteen digits: a big number, of whose thousandths the low 64 bits are read.
    check("1000000000000000001", 1_000_000_000_000_000_001i64.wrapping_mul(1000), "1000000000000000001");
}

/// A negative big number goes up by a thousandth after truncation.
#[test]
fn rounds_big_negatives_as_upstream_does() {
    assert_eq!(read("-0.0015000000000000001").milli(), 0);
    assert_eq!(read("-0.0025000000000000001").milli(), -1);
    assert_eq!(read("0.0015000000000000001").milli(), 2);
}

#[test]
fn keeps_billionths_rounded_up() {
    check("0.0000000001", 1, "1n");
    check("1e-300", 1, "1e-9");
    check("0.1234567891", 124, "123456790n");
}

#[test]
fn refuses_what_is_no_quantity() {
    for (text, want) in [
        ("", QuantityError::Form),
        ("abc", QuantityError::Form),
        ("1 ", QuantityError::Form),
        ("NaN", QuantityError::Form),
        ("+Inf", QuantityError::Form),
        ("1.2.3", QuantityError::Form),
        ("1K", QuantityError::Suffix),
        ("1kk", QuantityError::Suffix),
        ("1e", QuantityError::Suffix),
        ("1mi", QuantityError::Suffix),
    ] {
        assert_eq!(text.parse::<Quantity>().map(|q| q.to_string()), Err(want), "{text}");
    }
    assert_eq!("9".repeat(129).parse::<Quantity>().map(|q| q.to_string()), Err(QuantityError::Long));
    assert!("9".repeat(128).parse::<Quantity>().is_ok());
}

#[test]
fn writes_milli_quantities() {
    for (milli, format, want) in [
        (20_000, Format::DecimalSi, "20"),
        (1, Format::DecimalSi, "1m"),
        (i64::MIN, Format::DecimalSi, "-9223372036854775808m"),
        (i64::MAX, Format::DecimalSi, "9223372036854775807m"),
        (67_108_864_000, Format::BinarySi, "64Mi"),
        (1_023_000, Format::BinarySi, "1023"),
        (1_024_500, Format::BinarySi, "1024500m"),
    ] {
        assert_eq!(Quantity::from_milli(milli, format).to_string(), want);
    }
}

#[test]
fn approximates_tolerances() {
    for (text, want) in
        [("0.1", 0.1), ("100m", 0.1), ("0.15", 0.15), ("0", 0.0), ("2", 2.0), ("1n", 1e-9), ("-50m", -0.05)]
    {
        assert!((read(text).approximate() - want).abs() <= f64::EPSILON * want.abs(), "{text}");
    }
}

#[test]
fn reads_json_strings_and_numbers() {
    for (json, want) in [
        ("\"1500m\"", "1500m"),
        ("10", "10"),
        ("-3", "-3"),
        ("0.5", "500m"),
        ("18446744073709551615", "18446744073709551615"),
    ] {
        let quantity: Quantity = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&quantity).unwrap(), format!("\"{want}\""));
    }
    assert!(serde_json::from_str::<Quantity>("\"ten\"").is_err());
}

proptest! {
    #[test]
    fn milli_is_the_ceiling_of_the_magnitude(value in -1_000_000_000_000i64..1_000_000_000_000, power in 0usize..4) {
        let suffix = ["n", "u", "m", ""][power];
        let thousandths = match power {
            0 => i128::from(value) * 1000,
            1 => i128::from(value) * 1_000_000,
            2 => i128::from(value) * 1_000_000_000,
            _ => i128::from(value) * 1_000_000_000_000,
        };
        let unit = 1_000_000_000i128;
        let want = (thousandths.abs() + unit - 1) / unit * thousandths.signum();
        prop_assert_eq!(i128::from(read(&format!("{value}{suffix}")).milli()), want);
    }

    #[test]
    fn canonical_forms_are_fixed_points(text in "[+-]?[0-9]{1,12}(\\.[0-9]{1,9})?(n|u|m|k|M|G|Ki|Mi|Gi|e[0-9]|)") {
        let quantity = read(&text);
        let canonical = quantity.to_string();
        prop_assert_eq!(read(&canonical).to_string(), canonical);
    }

    #[test]
    fn never_panics(text in "[-+0-9.eEinumkKMGTP]{0,40}|\\PC{0,20}") {
        if let Ok(quantity) = text.parse::<Quantity>() {
            let _ = (quantity.milli(), quantity.approximate(), quantity.to_string());
        }
    }
}
