//! Images: which program on this machine stands for which container image.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a container of an image runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    /// The program; what the image's ENTRYPOINT would be.
    pub program: PathBuf,
    /// Its arguments where the container gives none; what the image's CMD would be.
    pub args: Vec<String>,
    /// Environment that every container of it has; what the image's ENV would be. Default empty.
    pub env: BTreeMap<String, String>,
    /// The variables that tell the program where to listen, with the value where the pod sets none, such as `ADDRESS` and
    /// `$(POD_IP)`. In a value that the pod does set, `0.0.0.0` and `[::]` become the pod's address.
    ///
    /// In a container, which has a network of its own, "every address" is the pod's. Here it would be the machine's, on
    /// which two pods cannot have the same port.
    pub listen: BTreeMap<String, String>,
    /// Arguments that are always appended, for programs that are told by a flag where to listen; `$(POD_IP)` is replaced.
    pub extra_args: Vec<String>,
}

/// Images by name. A name without a tag stands for every tag that has no entry of its own.
pub type Images = BTreeMap<String, Image>;

/// A program that stands for an image cannot be run.
#[derive(Debug, thiserror::Error)]
#[error("image {image}: there is no program at {program}; build it first (cargo build)")]
pub struct ImageError {
    image: String,
    program: String,
}

// === impl Image ===

impl Image {
    /// An image that is just this program.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), ..Self::default() }
    }

    /// Adds a variable that tells the program where to listen.
    #[must_use]
    pub fn listen(mut self, variable: &str, default: &str) -> Self {
        self.listen.insert(variable.to_owned(), default.to_owned());
        self
    }
}

/// Refuses programs that are not there, and makes the paths independent of the working directory.
pub(super) fn resolve(images: Images) -> Result<Images, ImageError> {
    let resolve = |(name, mut image): (String, Image)| match image.program.canonicalize() {
        Ok(program) if program.is_file() => {
            image.program = program;
            Ok((name, image))
        }
        _ => Err(ImageError { image: name, program: image.program.display().to_string() }),
    };
    images.into_iter().map(resolve).collect()
}

/// The image of this name.
pub(super) fn find<'a>(images: &'a Images, name: &str) -> Option<&'a Image> {
    images.get(name).or_else(|| images.get(repository(name)))
}

/// The name without its tag and digest. A colon before a slash belongs to the registry's port.
fn repository(name: &str) -> &str {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

/// The words that run a container: `command` and `args` of its spec over those of the image.
///
/// There is no container's file system to look a command up in: it must name the image's program.
pub(super) fn command_line(
    image: &Image,
    command: &[String],
    args: &[String],
) -> Result<(PathBuf, Vec<String>), String> {
    let own_args = || if args.is_empty() && command.is_empty() { image.args.clone() } else { args.to_vec() };
    let Some((program, rest)) = command.split_first() else {
        return Ok((image.program.clone(), own_args()));
    };
    if Path::new(program).file_name() != image.program.file_name() {
        return Err(format!(
            "exec: {program:?}: executable file not found: the sandbox runs {} for this image and nothing else",
            image.program.display()
        ));
    }
    Ok((image.program.clone(), rest.iter().cloned().chain(own_args()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_name_wins_over_one_for_every_tag() {
        let image = |program: &str| Image::new(program);
        let images = Images::from([
            ("localhost/shop".to_owned(), image("any")),
            ("localhost/shop:2".to_owned(), image("two")),
            ("host:5000/only:1".to_owned(), image("only")),
        ]);
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(find(&images, name).and_then(|image| image.program.to_str()), expected, "{name}");
        };
        check("localhost/shop:1", Some("any"));
        check("localhost/shop", Some("any"));
        check("localhost/shop@sha256:00", Some("any"));
        check("localhost/shop:2", Some("two"));
        check("host:5000/only:1", Some("only"));
        check("host:5000/only:2", None);
        check("shop", None);
        check("", None);
    }

    #[test]
    fn the_container_overrides_the_images_words() {
        let image = Image { args: vec!["a".into()], ..Image::new("/bin/shop") };
        let check = |command: &[&str], args: &[&str], expected: Result<&[&str], &str>| {
            let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
            match (command_line(&image, &words(command), &words(args)), expected) {
                (Ok((program, found)), Ok(expected)) => {
                    assert_eq!((program.as_path(), found), (Path::new("/bin/shop"), words(expected)));
                }
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                (found, expected) => panic!("{found:?} instead of {expected:?}"),
            }
        };
        check(&[], &[], Ok(&["a"]));
        check(&[], &["b"], Ok(&["b"]));
        check(&["/app/shop"], &[], Ok(&[]));
        check(&["shop", "x"], &["y"], Ok(&["x", "y"]));
        check(&["sh", "-c"], &[], Err("\"sh\""));
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let images = Images::from([("shop:1".to_owned(), Image::new("no/such/program"))]);
        let error = resolve(images).unwrap_err().to_string();
        assert!(error.contains("shop:1") && error.contains("no/such/program"), "{error}");
    }
}
