//! The kinds that every API has: apimachinery's `meta/v1`, and discovery. The numbers are those of their
//! `generated.proto`; of each kind there are the fields that are ever written.

use super::{Field, Kind, Message};

/// `meta/v1` `ListMeta`, which is empty here.
pub const LIST_META: Message = Message(&[]);

/// `meta/v1` `LabelSelector`.
pub const LABEL_SELECTOR: Message = Message(&[
    Field::new("matchLabels", 1, Kind::Map),
    Field::message(
        "matchExpressions",
        2,
        &Message(&[Field::plain("key", 1), Field::plain("operator", 2), Field::plain("values", 3)]),
    ),
]);

/// `resource.Quantity`.
pub const QUANTITY: Kind = Kind::Wrapped(&Kind::Plain);

/// `meta/v1` `Status`.
pub(crate) const STATUS: Message = Message(&[
    Field::message("metadata", 1, &LIST_META),
    Field::plain("status", 2),
    Field::plain("message", 3),
    Field::plain("reason", 4),
    Field::message(
        "details",
        5,
        &Message(&[
            Field::plain("name", 1),
            Field::plain("group", 2),
            Field::plain("kind", 3),
            Field::plain("retryAfterSeconds", 5),
        ]),
    ),
    Field::plain("code", 6),
]);

/// `meta/v1` `APIGroup`.
pub(crate) const API_GROUP: Message = Message(&[
    Field::plain("name", 1),
    Field::message("versions", 2, &GROUP_VERSION),
    Field::message("preferredVersion", 3, &GROUP_VERSION),
]);

/// `meta/v1` `APIGroupList`.
pub(crate) const API_GROUP_LIST: Message = Message(&[Field::message("groups", 1, &API_GROUP)]);

/// `meta/v1` `APIResourceList`.
pub(crate) const API_RESOURCE_LIST: Message = Message(&[
    Field::plain("groupVersion", 1),
    Field::message(
        "resources",
        2,
        &Message(&[
            Field::plain("name", 1),
            Field::plain("namespaced", 2),
            Field::plain("kind", 3),
            Field::new("verbs", 4, Kind::Wrapped(&Kind::Plain)),
            Field::plain("singularName", 6),
        ]),
    ),
]);

/// `apidiscovery` `v2` and `v2beta1` `APIGroupDiscoveryList`.
pub(crate) const API_GROUP_DISCOVERY_LIST: Message = Message(&[
    Field::message("metadata", 1, &LIST_META),
    Field::message(
        "items",
        2,
        &Message(&[
            Field::message("metadata", 1, &OBJECT_META),
            Field::message(
                "versions",
                2,
                &Message(&[
                    Field::plain("version", 1),
                    Field::message("resources", 2, &RESOURCE_DISCOVERY),
                    Field::plain("freshness", 3),
                ]),
            ),
        ]),
    ),
]);

/// `apidiscovery` `APIResourceDiscovery`.
const RESOURCE_DISCOVERY: Message = Message(&[
    Field::plain("resource", 1),
    Field::message("responseKind", 2, &GROUP_VERSION_KIND),
    Field::plain("scope", 3),
    Field::plain("singularResource", 4),
    Field::plain("verbs", 5),
    Field::message(
        "subresources",
        8,
        &Message(&[
            Field::plain("subresource", 1),
            Field::message("responseKind", 2, &GROUP_VERSION_KIND),
            Field::plain("verbs", 4),
        ]),
    ),
]);

/// `meta/v1` `ObjectMeta`.
const OBJECT_META: Message =
    Message(&[Field::plain("name", 1), Field::new("creationTimestamp", 8, Kind::Time)]);

/// `meta/v1` `GroupVersionForDiscovery`.
const GROUP_VERSION: Message = Message(&[Field::plain("groupVersion", 1), Field::plain("version", 2)]);

/// `meta/v1` `GroupVersionKind`.
const GROUP_VERSION_KIND: Message =
    Message(&[Field::plain("group", 1), Field::plain("version", 2), Field::plain("kind", 3)]);
