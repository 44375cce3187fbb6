//! What a query may contain.

use crate::members::{Kind, Member, Table, optional, required};

/// Results of one query end here.
pub(super) const MAX_WINDOW: u32 = 10_000;

const BIAS: Member = optional(
    "bias",
    Kind::Real,
    "",
    "Positive: each matching value adds `bias` × its rarity to the score. Negative: only matching items. 0: no matching items.",
);
const FACTOR: Member =
    optional("factor", Kind::Positive, "", "Instead of `bias`: multiplies the score of matching items.");

pub(crate) static QUERY: Table = Table {
    title: "query",
    members: &[
        optional("user", Kind::Text, "", "Whose history to use. An unknown user gets the ranking."),
        optional(
            "userBias",
            Kind::Real,
            "the engine's",
            "Weight of the history. Negative: only items that match it. 0: history does not score, but still excludes.",
        ),
        optional("item", Kind::Text, "", "Find items similar to this one."),
        optional("itemBias", Kind::Real, "the engine's", "Weight of that similarity, with the same signs."),
        optional("itemSet", Kind::Texts, "", "Find items that go with these, for example a cart."),
        optional("itemSetBias", Kind::Real, "the engine's", "Weight of the item set, with the same signs."),
        optional(
            "fields",
            Kind::Objects(&RULE),
            "",
            "Rules on properties; they join the engine's standing rules.",
        )
        .or(&["rules"]),
        optional("ranges", Kind::Objects(&RANGE), "", "Rules on numbers and dates."),
        optional(
            "dateRange",
            Kind::Object(&DATE_RANGE),
            "",
            "Only items with a date in this range. Replaces the rule of availability.",
        ),
        optional("currentDate", Kind::Date, "now", "The time for which availability is judged."),
        optional("blacklistItems", Kind::Texts, "", "Never return these items."),
        optional("returnSelf", Kind::Flag, "the engine's", "May `item` itself be returned?"),
        optional("num", Kind::Whole(0, MAX_WINDOW as i64), "the engine's", "Number of results."),
        optional(
            "from",
            Kind::Whole(0, MAX_WINDOW as i64),
            "0",
            "Skip this many results. `from` + `num` ≤ 10000.",
        ),
        optional(
            "dither",
            Kind::ObjectOrFalse(&DITHER),
            "the engine's",
            "Spread results at random. `false`: not at all. Members that are absent are the engine's.",
        ),
        optional("eventNames", Kind::Texts, "all", "Use only these events of the history.")
            .or(&["indicatorNames"]),
        optional("withRanks", Kind::Flag, "false", "Add the ranks of each result."),
        optional(
            "resultProps",
            Kind::Texts,
            "the engine's",
            "Properties returned with each result. `[\"*\"]` = all.",
        ),
        optional(
            "explain",
            Kind::Flag,
            "false",
            "Say why each result is there, and what was filtered by what.",
        ),
        optional(
            "history",
            Kind::Free(HISTORY),
            "",
            "Events to use before those stored for `user`, newest first: `[{\"event\": …, \"item\": …}]` or `{\"<event>\": [\"<item>\", …]}`.",
        ),
        optional(
            "prId",
            Kind::Text,
            "",
            "Id of an earlier prediction that this query belongs to, for the feedback.",
        ),
        optional(
            "withPrId",
            Kind::Flag,
            "false",
            "Add the id of this prediction, if the server gives feedback.",
        ),
        optional(
            "withDegraded",
            Kind::Flag,
            "false",
            "Add `degraded: true` if the stored history could not be read.",
        ),
    ],
};

/// Type of `history`.
pub(super) const HISTORY: &str = "an array of {\"event\", \"item\"} or an object of arrays of strings";

pub(crate) static RULE: Table = Table {
    title: "rule",
    members: &[
        required("name", Kind::Text, "Property."),
        required(
            "values",
            Kind::Texts,
            "Matches items whose property has any of these values, exactly. Numbers match by their text.",
        ),
        BIAS,
        FACTOR,
    ],
};

pub(super) static RANGE: Table = Table {
    title: "range",
    members: &[
        required("name", Kind::Text, "Property that holds numbers or dates."),
        optional("gt", Kind::Bound, "", "Matches values > this."),
        optional("gte", Kind::Bound, "", "Matches values ≥ this."),
        optional("lt", Kind::Bound, "", "Matches values < this."),
        optional("lte", Kind::Bound, "", "Matches values ≤ this."),
        optional(
            "bias",
            Kind::Real,
            "-1",
            "Positive: adds itself to the score of matching items. Negative: only matching items. 0: no matching items.",
        ),
        FACTOR,
    ],
};

pub(super) static DATE_RANGE: Table = Table {
    title: "dateRange",
    members: &[
        required("name", Kind::Text, "Property that holds dates."),
        optional("after", Kind::Date, "", "Matches dates later than this.").or(&["afterDate"]),
        optional("before", Kind::Date, "", "Matches dates earlier than this.").or(&["beforeDate"]),
    ],
};

pub(crate) static DITHER: Table = Table {
    title: "dither",
    members: &[
        optional(
            "sigma",
            Kind::AtLeast(1.0),
            "1.5",
            "How far: two thirds of the results are sorted as if their place were up to `sigma` times better or worse. 1: not at all.",
        ),
        optional("seed", Kind::Whole(i64::MIN, i64::MAX), "0", "Another seed gives another order."),
        optional(
            "period",
            Kind::Duration,
            "1 day",
            "How long an order stays. Periods are counted from 1970, in UTC.",
        ),
    ],
};

pub(super) static HISTORY_EVENT: Table = Table {
    title: "history[]",
    members: &[
        required("event", Kind::Text, "Event name."),
        required("item", Kind::Text, "What it was done to."),
    ],
};

/// Every table, in the order of the reference.
#[cfg(test)]
pub(crate) static ALL: &[&Table] = &[&QUERY, &RULE, &RANGE, &DATE_RANGE, &DITHER, &HISTORY_EVENT];
