//! A small shop for sporting goods and a good kitchen, invented and always the same: events, an `engine.json` and
//! queries to try, with enough sense in it that recommendations can be judged by looking at them.

mod catalogue;
mod rng;
mod shoppers;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use catalogue::Product;
use events::EventTime;
use events::json::{Json, Number, Object};
use rng::Rng;
use shoppers::Deed;

/// Events reach back so many days.
const DAYS: u32 = 120;
const SHOPPERS: u32 = 3_000;
const SEED: u64 = 20;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// 1971 to 2999: so that every date of the shop is a date.
const NOW_MS: std::ops::Range<i64> = 31_536_000_000..32_472_144_000_000;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Lines of `events.jsonl`, those that set properties included.
    pub events: usize,
    /// Users who did something.
    pub users: usize,
    /// Products with properties.
    pub items: usize,
    /// Lines of `queries.jsonl`.
    pub queries: usize,
}

/// Writes the sample shop as it stands on the day of `now_ms` (ms since 1970; days in UTC) into `dir`, which is made if
/// need be: `events.jsonl` (oldest first; each with an id, so a second import changes nothing), `engine.json` for the
/// app `shop`, and `queries.jsonl`. Files of these names are replaced. The same day gives the same bytes.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] if `now_ms` is before 1971 or after 2999; whatever the file system says.
pub fn write(dir: &Path, now_ms: i64) -> io::Result<Summary> {
    if !NOW_MS.contains(&now_ms) {
        let text = format!("now_ms is {now_ms}; it must lie in {NOW_MS:?}, the years 1971 to 2999");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    fs::create_dir_all(dir)?;
    let midnight = now_ms - now_ms.rem_euclid(DAY_MS);
    let mut rng = Rng::new(SEED);
    let products = catalogue::products(&mut rng);
    let deeds = shoppers::deeds(&mut rng, &products, SHOPPERS);

    let mut out = BufWriter::new(fs::File::create(dir.join("events.jsonl"))?);
    for (number, product) in products.iter().enumerate() {
        writeln!(out, "{}", product_event(number, product, midnight))?;
    }
    for (number, deed) in deeds.iter().enumerate() {
        writeln!(out, "{}", deed_event(number, deed, midnight))?;
    }
    out.flush()?;
    fs::write(dir.join("engine.json"), ENGINE)?;
    fs::write(dir.join("queries.jsonl"), QUERIES)?;

    let users: BTreeSet<&str> = deeds.iter().map(|deed| deed.user.as_str()).collect();
    let queries = QUERIES.lines().count();
    Ok(Summary { events: products.len() + deeds.len(), users: users.len(), items: products.len(), queries })
}

fn product_event(number: usize, product: &Product, midnight: i64) -> Object {
    let day = |days: i64| EventTime::utc(midnight + days * DAY_MS).to_string();
    let properties = Object::new()
        .with("categories", product.categories.clone())
        .with("brand", product.brand)
        .with("price", Number::real(f64::from(product.price) / 100.0).map_or(Json::Null, Json::from))
        .with("available", day(product.available))
        .with("expires", day(product.expires))
        .with("date", day(product.available));
    Object::new()
        .with("eventId", format!("sample-item-{number:03}"))
        .with("event", "$set")
        .with("entityType", "item")
        .with("entityId", product.name.as_str())
        .with("properties", properties)
        .with("eventTime", day(-i64::from(DAYS) - 1))
}

fn deed_event(number: usize, deed: &Deed, midnight: i64) -> Object {
    Object::new()
        .with("eventId", format!("sample-{number:06}"))
        .with("event", deed.event)
        .with("entityType", "user")
        .with("entityId", deed.user.as_str())
        // Search terms and categories too: training reads what was done to items.
        .with("targetEntityType", "item")
        .with("targetEntityId", deed.target.as_str())
        .with("eventTime", EventTime::utc(midnight - i64::from(deed.ago) * 1_000).to_string())
}

const ENGINE: &str = r#"{
  "id": "shop",
  "description": "Sample shop: purchases, explained by what people look at, put in the cart, search and prefer",
  "engineFactory": "com.actionml.RecommendationEngine",
  "datasource": { "params": { "appName": "shop" } },
  "algorithms": [
    {
      "name": "ur",
      "params": {
        "appName": "shop",
        "indexName": "shop",
        "typeName": "items",
        "indicators": [
          { "name": "purchase", "minLLR": 5 },
          { "name": "add-to-cart", "minLLR": 5 },
          { "name": "view", "minLLR": 5, "maxCorrelatorsPerItem": 30 },
          { "name": "search", "minLLR": 5, "maxCorrelatorsPerItem": 10 },
          { "name": "category-pref", "minLLR": 5, "maxCorrelatorsPerItem": 10 }
        ],
        "rankings": [
          { "name": "popRank", "type": "popular", "eventNames": ["purchase"], "duration": "90 days" },
          { "name": "trendRank", "type": "trending", "eventNames": ["view", "purchase"], "duration": "42 days", "missingAsZero": true },
          { "name": "hotRank", "type": "hot", "eventNames": ["view", "purchase"], "duration": "42 days", "missingAsZero": true }
        ],
        "availableDateName": "available",
        "expireDateName": "expires",
        "dateName": "date",
        "resultProps": ["categories", "price"],
        "num": 8,
        "seed": 1
      }
    }
  ]
}
"#;

/// One per line, as `batchpredict` reads them.
const QUERIES: &str = r#"{"user":"maya","num":6}
{"user":"otto","num":6}
{"item":"Fernway Tent 2 Person","num":6}
{"itemSet":["Tarnlow Kayak Touring"],"num":6}
{"num":6}
{"user":"maya","fields":[{"name":"categories","values":["camping"],"bias":-1}],"num":6}
{"user":"otto","fields":[{"name":"brand","values":["Hearthlow"],"bias":0}],"ranges":[{"name":"price","lt":40}],"num":6}
{"history":[{"event":"search","item":"fly rod"},{"event":"view","item":"Kilnhurst Fly Rod 9' #5"}],"num":6}
"#;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs;
    use std::io::ErrorKind;

    use events::{Event, EventTime};

    use super::{QUERIES, catalogue, rng::Rng, write};

    const NOON: i64 = 1_768_478_400_000;

    fn files(now_ms: i64) -> Vec<String> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        write(dir.path(), now_ms).expect("it can be written");
        ["events.jsonl", "engine.json", "queries.jsonl"]
            .map(|name| fs::read_to_string(dir.path().join(name)).expect("it was written"))
            .into()
    }

    #[test]
    fn same_day_same_bytes() {
        let shop = files(NOON);
        assert_eq!(shop, files(NOON));
        assert_eq!(shop, files(NOON + 3_600_000));
        assert_ne!(shop, files(NOON + super::DAY_MS));
    }

    #[test]
    fn counts_are_those_of_a_small_shop() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let summary = write(&dir.path().join("new/shop"), NOON).expect("it can be written");
        assert_eq!((summary.users, summary.items, summary.queries), (3_002, 400, QUERIES.lines().count()));
        assert!((50_000..100_000).contains(&summary.events), "{summary:?}");
        let events = fs::read_to_string(dir.path().join("new/shop/events.jsonl")).expect("it was written");
        assert_eq!(events.lines().count(), summary.events);
    }

    #[test]
    fn every_line_is_a_valid_event_with_its_own_id() {
        let events = &files(NOON)[0];
        let now = EventTime::utc(NOON);
        let parse =
            |line: &str| Event::parse(line.as_bytes(), now).unwrap_or_else(|error| panic!("{line}: {error}"));
        let ids: HashSet<_> =
            events.lines().map(|line| parse(line).event_id.expect("it has an id")).collect();
        assert_eq!(ids.len(), events.lines().count());
    }

    #[test]
    fn nothing_happened_after_now() {
        let events = &files(NOON)[0];
        let times: Vec<&str> = events.lines().filter_map(|line| line.rsplit('"').nth(1)).collect();
        assert!(times.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(times.first(), Some(&"2025-09-16T00:00:00.000Z"));
        assert!(times.last() < Some(&"2026-01-15T12:00:00.000Z"), "{:?}", times.last());
    }

    #[test]
    fn queries_ask_for_products_of_the_shop() {
        let products = catalogue::products(&mut Rng::new(super::SEED));
        for name in ["Fernway Tent 2 Person", "Tarnlow Kayak Touring", "Kilnhurst Fly Rod 9' #5"] {
            assert!(QUERIES.contains(name));
            assert!(products.iter().any(|product| product.name == name), "{name}");
        }
    }

    #[test]
    fn a_date_out_of_range_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for now_ms in [i64::MIN, -1, 0, i64::MAX] {
            assert_eq!(write(dir.path(), now_ms).expect_err("no such date").kind(), ErrorKind::InvalidInput);
        }
    }
}
