//! Arbitrary documents, for property tests.

use events::json::{Json, Number, Object};
use proptest::prelude::*;

/// JSON that is full of known names and of values of any type.
pub(crate) fn any_json(names: Vec<&'static str>) -> impl Strategy<Value = Json> {
    let name = prop_oneof![4 => prop::sample::select(names), 1 => Just("other")];
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        (-5..30i64).prop_map(Json::from),
        any::<f64>().prop_map(|x| Number::real(x).map_or(Json::Null, Json::Number)),
        "[a-z0-9:.-]{0,8}".prop_map(Json::from),
        Just(Json::from("2026-01-01")),
        Just(Json::from("system.env.X:-3 days")),
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        let members = prop::collection::vec((name.clone().prop_map(str::to_owned), inner.clone()), 0..8);
        prop_oneof![
            1 => prop::collection::vec(inner, 0..4).prop_map(Json::Array),
            3 => members.prop_map(|members| Json::Object(members.into_iter().collect::<Object>())),
        ]
    })
}
