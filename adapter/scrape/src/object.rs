//! What all objects of the API server have in common, and the reduction of one to what is wanted of it.
//!
//! What is not wanted is skipped while it is read, so that a page of a list costs little more than what is kept of it.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, api::ApiResource, core::DynamicResourceScope};
use podgauge_store::PodLabels;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::lenient::Lenient;

/// An object, reduced to a `T`.
#[derive(Clone, Debug)]
pub(crate) struct Reduced<T> {
    /// Name, namespace, uid and resource version; the rest is empty.
    pub(crate) metadata: ObjectMeta,
    /// What is wanted, or which part of the object has no shape that it can have.
    pub(crate) wanted: Result<T, Box<str>>,
}

/// What is wanted of the objects of some resource.
pub(crate) trait Wanted: Clone + fmt::Debug + Send + Sized + 'static {
    /// As the API server sends it.
    type Document: DeserializeOwned;

    /// Fills in who the object is before anything else, so that a broken one can be named.
    fn read(document: Self::Document, identity: &mut ObjectMeta) -> Result<Self, Box<str>>;
}

/// `metadata`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Metadata {
    name: Lenient<String>,
    namespace: Lenient<String>,
    uid: Lenient<String>,
    resource_version: Lenient<String>,
    pub(crate) deletion_timestamp: Lenient<IgnoredAny>,
    pub(crate) labels: RawLabels,
    pub(crate) annotations: Lenient<RawAnnotations>,
}

/// Labels as they are sent.
pub(crate) type RawLabels = Lenient<BTreeMap<Box<str>, Lenient<Box<str>>>>;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawAnnotations {
    #[serde(rename = "prometheus.io/scrape")]
    scrape: Lenient<Box<str>>,
    #[serde(rename = "prometheus.io/scheme")]
    scheme: Lenient<Box<str>>,
    #[serde(rename = "prometheus.io/port")]
    port: Lenient<Box<str>>,
    #[serde(rename = "prometheus.io/path")]
    path: Lenient<Box<str>>,
}

/// The annotations `prometheus.io/*`, as far as they are set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Annotations {
    pub(crate) scrape: Option<Box<str>>,
    pub(crate) scheme: Option<Box<str>>,
    pub(crate) port: Option<Box<str>>,
    pub(crate) path: Option<Box<str>>,
}

// === impl Metadata ===

impl Metadata {
    /// Moves who the object is to `identity`.
    pub(crate) fn identify(&mut self, identity: &mut ObjectMeta) -> Result<(), Box<str>> {
        let take = std::mem::take;
        identity.resource_version = take(&mut self.resource_version).read("metadata.resourceVersion")?;
        identity.name = take(&mut self.name).read("metadata.name")?;
        identity.namespace = take(&mut self.namespace).read("metadata.namespace")?;
        identity.uid = take(&mut self.uid).read("metadata.uid")?;
        Ok(())
    }
}

// === impl Annotations ===

impl Annotations {
    pub(crate) fn read(annotations: Lenient<RawAnnotations>) -> Result<Self, Box<str>> {
        let annotations = annotations.read("metadata.annotations")?.unwrap_or_default();
        Ok(Self {
            scrape: annotations.scrape.read("annotation prometheus.io/scrape")?,
            scheme: annotations.scheme.read("annotation prometheus.io/scheme")?,
            port: annotations.port.read("annotation prometheus.io/port")?,
            path: annotations.path.read("annotation prometheus.io/path")?,
        })
    }
}

/// Reads `metadata.labels`.
pub(crate) fn labels(labels: RawLabels) -> Result<PodLabels, Box<str>> {
    let labels = labels.read("metadata.labels")?.unwrap_or_default();
    labels
        .into_iter()
        .map(|(key, value)| Ok((key, value.read("metadata.labels")?.unwrap_or_default())))
        .collect::<Result<Vec<_>, Box<str>>>()
        .map(PodLabels::from_iter)
}

// === impl Reduced ===

impl<'de, T: Wanted> Deserialize<'de> for Reduced<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = T::Document::deserialize(deserializer)?;
        let mut metadata = ObjectMeta::default();
        let wanted = T::read(document, &mut metadata);
        Ok(Self { metadata, wanted })
    }
}

impl<T: Wanted> Resource for Reduced<T> {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(served: &ApiResource) -> Cow<'_, str> {
        served.kind.as_str().into()
    }

    fn group(served: &ApiResource) -> Cow<'_, str> {
        served.group.as_str().into()
    }

    fn version(served: &ApiResource) -> Cow<'_, str> {
        served.version.as_str().into()
    }

    fn plural(served: &ApiResource) -> Cow<'_, str> {
        served.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
