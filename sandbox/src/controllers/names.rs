//! Names that are made: of ReplicaSets, pods and slices.

use serde_json::Value;

/// Characters that form no words and are not mistaken for each other, as `k8s.io/apimachinery/pkg/util/rand` has them.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// The longest name that still leaves room for `-` and a suffix of five in a label's 63 characters.
const MAX_STEM: usize = 57;

/// The `pod-template-hash` of a template: the same for equal templates, another for each count of collisions.
pub(super) fn template_hash(template: &Value, collisions: u64) -> String {
    hash(&format!("{template}{collisions}"))
}

/// A short text that is the same for the same input: FNV-1a, encoded as upstream encodes it.
pub(super) fn hash(text: &str) -> String {
    let number = fnv(text);
    number.to_string().bytes().map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()])).collect()
}

/// A number that is the same for the same text.
pub(super) fn fnv(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// `stem-` and five characters made of `random`; a stem that is too long loses its end.
pub(super) fn with_suffix(stem: &str, random: u128) -> String {
    let base = ALPHABET.len() as u128;
    let mut rest = random;
    let mut name: String = stem.chars().take(MAX_STEM).collect();
    name.push('-');
    for _ in 0..5 {
        name.push(char::from(ALPHABET[(rest % base) as usize]));
        rest /= base;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn hashes_are_stable_and_tell_templates_apart() {
        let template = json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": []}});
        let other = json!({"metadata": {"labels": {"app": "b"}}, "spec": {"containers": []}});
        assert_eq!(template_hash(&template, 0), template_hash(&template.clone(), 0));
        assert_ne!(template_hash(&template, 0), template_hash(&other, 0));
        assert_ne!(template_hash(&template, 0), template_hash(&template, 1));
        // FNV-1a's published vectors.
        assert_eq!((fnv(""), fnv("a"), fnv("foobar")), (0x811c_9dc5, 0xe40c_292c, 0xbf9c_f968));
    }

    #[test]
    fn suffixes_are_five_safe_characters() {
        let check =
            |stem: &str, random: u128, expected: &str| assert_eq!(with_suffix(stem, random), expected);
        check("backend-5d4f", 0, "backend-5d4f-bbbbb");
        check("a", 1 + 27 * 2, "a-cdbbb");
        check(&"x".repeat(80), 26, &format!("{}-9bbbb", "x".repeat(57)));
        assert!(with_suffix("a", u128::MAX).bytes().skip(2).all(|byte| ALPHABET.contains(&byte)));
    }
}
