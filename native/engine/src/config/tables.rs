//! What `engine.json` may contain, in both forms.

use crate::members::{Kind, Member, Table, optional, required};
use crate::query::tables::{self, RULE};

const U32: i64 = u32::MAX as i64;
const COUNT: Kind = Kind::Whole(1, U32);

/// PredictionIO form.
pub(super) static ENGINE: Table = Table {
    title: "engine.json",
    members: &[
        required("id", Kind::Text, "Variant: names the engine's models."),
        required(
            "engineFactory",
            Kind::Choice(&["com.actionml.RecommendationEngine", "org.template.RecommendationEngine"]),
            "Both names mean the built-in recommender.",
        ),
        optional("description", Kind::Text, "", "For people."),
        required("datasource", Kind::Object(&DATASOURCE), "What training reads."),
        required("algorithms", Kind::Objects(&ALGORITHM_ENTRY), "Exactly one entry."),
        SPARK_CONF,
        optional("preparator", Kind::Free("an object"), "", "Has no effect."),
        optional("serving", Kind::Free("an object"), "", "Has no effect."),
        optional(
            "plugins",
            Kind::Free("an object"),
            "",
            "Server plug-ins of PredictionIO; not run, with a warning.",
        ),
    ],
};

pub(super) static DATASOURCE: Table = Table {
    title: "datasource",
    members: &[
        required("params", Kind::Object(&DATASOURCE_PARAMS), ""),
        optional("name", Kind::Text, "", "Has no effect."),
    ],
};

pub(super) static DATASOURCE_PARAMS: Table = Table {
    title: "datasource.params",
    members: &[
        required("appName", Kind::Text, "App whose events are read."),
        optional(
            "eventNames",
            Kind::Texts,
            "the algorithm's",
            "If given, the same names in the same order as the algorithm's.",
        ),
        optional(
            "minEventsPerUser",
            Kind::Whole(0, U32),
            "1",
            "Users with fewer primary events, repeats counted, are left out of the correlations.",
        ),
        optional("eventWindow", Kind::Object(&EVENT_WINDOW), "everything", "Which events count."),
        optional("name", Kind::Text, "", "Has no effect."),
    ],
};

pub(super) static EVENT_WINDOW: Table = Table {
    title: "eventWindow",
    members: &[
        optional(
            "duration",
            Kind::Duration,
            "no limit",
            "Events older than this at training do not count. Properties are read whatever their age.",
        ),
        optional(
            "removeDuplicates",
            Kind::Flag,
            "false",
            "Events equal in all but id and times count once. Only rankings and `minEventsPerUser` can tell.",
        ),
        optional(
            "compressProperties",
            Kind::Flag,
            "false",
            "Pruning folds the `$set`, `$unset` and `$delete` of each entity into one event. Training needs no such \
             thing.",
        ),
        optional(
            "pruneStore",
            Kind::Flag,
            "false",
            "`true`: each train first removes from the store what the other members leave out, for good, as \
             `arblast prune` does. Otherwise training removes nothing.",
        ),
    ],
};

pub(super) static ALGORITHM_ENTRY: Table = Table {
    title: "algorithms[]",
    members: &[required("name", Kind::Choice(&["ur"]), ""), required("params", Kind::Object(&ALGORITHM), "")],
};

pub(super) static ALGORITHM: Table = Table {
    title: "algorithms[].params",
    members: &[
        required(
            "appName",
            Kind::Text,
            "App whose history queries read: the same as in `datasource.params`.",
        ),
        required(
            "indexName",
            Kind::Text,
            "Index alias when a search server holds the model: lower case, without blanks and `\\ / * ? \" < > | , # :`.",
        ),
        optional("typeName", Kind::Text, "", "Has no effect."),
        optional(
            "eventNames",
            Kind::Texts,
            "",
            "Events that count as evidence, by name only; the first is primary. Either this or `indicators`.",
        ),
        optional(
            "indicators",
            Kind::Objects(&INDICATOR),
            "",
            "The same with settings for each; the first is primary. If `eventNames` is there too, it must list the same names.",
        ),
        optional(
            "maxEventsPerEventType",
            COUNT,
            "500",
            "With `eventNames`: interactions per user and per thing that training uses; more are sampled.",
        ),
        optional("maxCorrelatorsPerEventType", COUNT, "50", "With `eventNames`: correlators kept per item."),
        optional(
            "maxQueryEvents",
            COUNT,
            "100 with `eventNames`",
            "History events of each name that a query uses. With `indicators` the default is each one's `maxItemsPerUser`.",
        ),
        RECS_MODEL,
        BLACKLIST_EVENTS,
        NUM,
        USER_BIAS,
        ITEM_BIAS,
        ITEM_SET_BIAS,
        RETURN_SELF,
        FIELDS,
        optional(
            "legacyConfigFieldSigns",
            Kind::Flag,
            "false",
            "`true`: the signs in `fields` mean what Universal Recommender 0.7.3 made of them: negative boosts \
             by the absolute value, positive includes only.",
        ),
        RANKINGS,
        optional(
            "backfillField",
            Kind::Object(&BACKFILL),
            "",
            "The one ranking of Universal Recommender 0.2 and 0.3.",
        ),
        AVAILABLE,
        EXPIRE,
        DATE,
        SEED,
        SCORING,
        DITHER,
        RESULT_PROPS,
        MIN_MODEL_RATIO,
        optional("numESWriteConnections", COUNT, "", "Has no effect."),
    ],
};

/// Harness form.
pub(super) static HARNESS: Table = Table {
    title: "Harness",
    members: &[
        required(
            "engineId",
            Kind::Text,
            "Names the engine, its models and, without `sharedDBName`, its app.",
        ),
        required(
            "engineFactory",
            Kind::Choice(&["com.actionml.engines.ur.UREngine"]),
            "The built-in recommender.",
        ),
        required("algorithm", Kind::Object(&HARNESS_ALGORITHM), ""),
        optional(
            "sharedDBName",
            Kind::Text,
            "`engineId`",
            "App whose events are read: lets engines share one data set.",
        ),
        optional("dataset", Kind::Object(&DATASET), "", ""),
        SPARK_CONF,
        optional(
            "mirrorType",
            Kind::Choice(&["localfs", "hdfs"]),
            "off",
            "\"localfs\": the query server copies every body that it gets at `/engines/<id>/events`, valid or not, as a line to `<mirrorContainer>/<engineId>/yy-MM-dd.json` (UTC). \"hdfs\" is refused.",
        ),
        optional(
            "mirrorContainer",
            Kind::Text,
            "",
            "Directory of the mirror, made if need be; required with `mirrorType`.",
        )
        .misspelt(&["mirrorLocation"]),
        optional("modelContainer", Kind::Text, "", "Has no effect."),
        optional("description", Kind::Text, "", "For people."),
    ],
};

pub(super) static DATASET: Table = Table {
    title: "dataset",
    members: &[optional(
        "ttl",
        Kind::Duration,
        "365 days",
        "Events older than this at training do not count. `arblast prune` removes them from the store.",
    )],
};

pub(super) static HARNESS_ALGORITHM: Table = Table {
    title: "algorithm",
    members: &[
        required(
            "indicators",
            Kind::Objects(&INDICATOR),
            "Events that count as evidence; the first is primary.",
        ),
        RECS_MODEL,
        BLACKLIST_EVENTS,
        NUM,
        USER_BIAS,
        ITEM_BIAS,
        ITEM_SET_BIAS,
        RETURN_SELF,
        FIELDS,
        RANKINGS,
        AVAILABLE,
        EXPIRE,
        DATE,
        SEED,
        SCORING,
        DITHER,
        RESULT_PROPS,
        MIN_MODEL_RATIO,
        no_effect("appName"),
        no_effect("indexName"),
        no_effect("typeName"),
        no_effect("eventNames"),
        no_effect("maxQueryEvents"),
        no_effect("maxEventsPerEventType"),
        no_effect("maxCorrelatorsPerEventType"),
        no_effect("numESWriteConnections"),
        no_effect("trimAfter"),
    ],
};

/// A member of Harness' samples that Harness itself never used.
const fn no_effect(name: &'static str) -> Member {
    optional(name, Kind::Free("anything"), "", "Has no effect.")
}

pub(super) static INDICATOR: Table = Table {
    title: "indicators[]",
    members: &[
        required("name", Kind::Text, "Event name."),
        optional("aliases", Kind::Texts, "none", "Other event names that count as this one."),
        optional(
            "maxItemsPerUser",
            COUNT,
            "500",
            "Interactions per user and per thing that training uses; more are sampled.",
        ),
        optional(
            "maxQueryEvents",
            COUNT,
            "the algorithm's, else `maxItemsPerUser`",
            "History events of this name that a query uses. Default in the Harness form: 100.",
        ),
        optional(
            "maxIndicatorsPerQuery",
            COUNT,
            "",
            "Harness' name for both limits: stands for `maxItemsPerUser` and `maxQueryEvents` where they are absent.",
        ),
        optional("maxCorrelatorsPerItem", COUNT, "50", "Correlators kept per item."),
        optional(
            "minLLR",
            Kind::Real,
            "no limit",
            "Correlators weaker than this are dropped; 5 suits many shops.",
        ),
    ],
};

pub(super) static RANKING: Table = Table {
    title: "rankings[]",
    members: &[
        required("type", RANKING_KIND, "How ranks are computed, see below."),
        RANKING_NAME,
        RANKING_EVENTS,
        RANKING_DURATION,
        RANKING_END,
        optional(
            "missingAsZero",
            Kind::Flag,
            "false",
            "`trending` and `hot`: an item without events in a part of the window counts 0 there, instead of having no rank.",
        ),
        optional("endDate", Kind::Date, "", "Has no effect."),
    ],
};

pub(super) static BACKFILL: Table = Table {
    title: "backfillField",
    members: &[
        optional("backfillType", RANKING_KIND, "popular", "As `type` of a ranking.").or(&["type"]),
        RANKING_NAME,
        RANKING_EVENTS,
        RANKING_DURATION,
        RANKING_END,
    ],
};

const RANKING_KIND: Kind = Kind::Choice(&["popular", "trending", "hot", "random", "userDefined"]);
const RANKING_NAME: Member = optional("name", Kind::Text, "by type, see below", "Name of the rank; unique.");
const RANKING_EVENTS: Member = optional(
    "eventNames",
    Kind::Texts,
    "the primary",
    "Events that count, indicators or not. Repeats count each time.",
)
.or(&["indicatorNames", "eventnames"]);
const RANKING_DURATION: Member =
    optional("duration", Kind::Duration, "3650 days", "Length of the window of events that count.");
const RANKING_END: Member = optional("offsetDate", Kind::Date, "time of training", "End of that window.");

const RECS_MODEL: Member = optional(
    "recsModel",
    Kind::Choice(&["all", "collabFiltering", "backfill"]),
    "all",
    "What a train makes: correlators and rankings; correlators only, and results are never filled up; \
     or rankings and properties only, on top of the current correlators.",
);
const BLACKLIST_EVENTS: Member = optional(
    "blacklistEvents",
    Kind::Texts,
    "the primary",
    "A user never gets the targets of his own events of these names. `[]` = no such exclusion.",
)
.or(&["blacklistIndicators"]);
const NUM: Member = optional("num", Kind::Whole(1, 10_000), "20", "Results per query.");
const USER_BIAS: Member = optional(
    "userBias",
    Kind::Real,
    "1",
    "Weight of the user's history. Negative: it filters. 0: it is not used.",
)
.misspelt(&["userbias"]);
const ITEM_BIAS: Member = optional(
    "itemBias",
    Kind::Real,
    "1",
    "Weight of similarity to the item of a query. Negative: it filters. 0: off.",
)
.misspelt(&["itembias"]);
const ITEM_SET_BIAS: Member = optional(
    "itemSetBias",
    Kind::Real,
    "1",
    "Weight of the item set of a query. Negative: it filters. 0: off.",
);
const RETURN_SELF: Member =
    optional("returnSelf", Kind::Flag, "false", "May the item of a query be among its results?");
const FIELDS: Member =
    optional("fields", Kind::Objects(&RULE), "none", "Standing rules: they join those of every query.")
        .or(&["rules"]);
const RANKINGS: Member = optional(
    "rankings",
    Kind::Objects(&RANKING),
    "one `popular`",
    "Order of items without score, and of items with equal scores: by the first ranking, then the next.",
);
const AVAILABLE: Member = optional(
    "availableDateName",
    Kind::Text,
    "none",
    "Property with the date from which on an item is offered. Items without it are then never offered.",
);
const EXPIRE: Member = optional(
    "expireDateName",
    Kind::Text,
    "none",
    "Property with the date before which an item is offered. Items without it are then never offered.",
);
const DATE: Member = optional("dateName", Kind::Text, "none", "A further property that holds dates.");
const SEED: Member = optional(
    "seed",
    Kind::Whole(i64::MIN, i64::MAX),
    "0",
    "Of sampling and of random rankings: same seed, same model.",
);
const DITHER: Member = optional(
    "dither",
    Kind::Object(&tables::DITHER),
    "off",
    "Spreads results at random, so that people see more than always the same. A query may say otherwise.",
);
const SCORING: Member = optional(
    "scoring",
    Kind::Choice(&["default", "es5-compat"]),
    "default",
    "`es5-compat` repeats the arithmetic of Elasticsearch 5 with five shards, for comparisons.",
);
const RESULT_PROPS: Member =
    optional("resultProps", Kind::Texts, "none", "Properties returned with each result. `[\"*\"]` = all.");
const MIN_MODEL_RATIO: Member = optional(
    "minModelRatio",
    Kind::Share,
    "0.5",
    "A new model with fewer correlators than this share of the current one's is not published.",
);
const SPARK_CONF: Member = optional(
    "sparkConf",
    Kind::Free("an object without arrays"),
    "",
    "Settings for Spark and for search servers (`es.…`); nested objects are joined with dots.",
);

/// Every table, in the order of the reference.
#[cfg(test)]
pub(crate) static ALL: &[&Table] = &[
    &ENGINE,
    &DATASOURCE,
    &DATASOURCE_PARAMS,
    &EVENT_WINDOW,
    &ALGORITHM_ENTRY,
    &ALGORITHM,
    &INDICATOR,
    &RANKING,
    &RULE,
    &tables::DITHER,
    &BACKFILL,
    &HARNESS,
    &DATASET,
    &HARNESS_ALGORITHM,
];
