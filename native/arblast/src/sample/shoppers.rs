//! What the shoppers do: everyone has a pastime, a kit in it and a brand, comes back several times, looks around,
//! buys, and then needs what goes with it.

use super::DAYS;
use super::catalogue::{ACTIVITIES, Kind, Product, Trend};
use super::rng::Rng;

/// One thing that somebody did.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Deed {
    /// Seconds before the start of today.
    pub(super) ago: u32,
    pub(super) user: String,
    pub(super) event: &'static str,
    /// A product, or a search term or category.
    pub(super) target: String,
}

const DAY: u32 = 24 * 60 * 60;
const FIRST_NAMES: &[&str] = &[
    "ada", "amir", "anna", "bela", "bruno", "carla", "chen", "dara", "edda", "emil", "farid", "greta",
    "hana", "ines", "ivo", "jana", "jonas", "kaya", "lena", "leo", "lina", "marta", "milo", "nadia", "nils",
    "nora", "olga", "oskar", "pia", "ravi", "rosa", "sami", "selma", "tariq", "tessa", "theo", "uma",
    "viktor", "wanda", "yara", "yusuf", "zoe",
];

/// Days ago, event, and the target: a product by the end of its name.
type Story = &'static [(u32, &'static str, &'static str)];

/// Two shoppers to ask for: what they did in the last days. Nobody else is named like them.
const KNOWN: &[(&str, Story)] = &[
    (
        "maya",
        &[
            (9, "search", "climbing shoes"),
            (9, "view", "Climbing Shoes Velcro"),
            (9, "purchase", "Climbing Shoes Velcro"),
            (6, "view", "Chalk Bag Classic"),
            (6, "purchase", "Chalk Bag Classic"),
            (2, "category-pref", "climbing"),
            (2, "view", "Climbing Harness All-Round"),
            (1, "view", "Climbing Rope 9.5 mm 60 m"),
        ],
    ),
    (
        "otto",
        &[
            (12, "search", "espresso machine"),
            (12, "view", "Espresso Machine Single Boiler"),
            (11, "add-to-cart", "Espresso Machine Single Boiler"),
            (11, "purchase", "Espresso Machine Single Boiler"),
            (4, "view", "Coffee Grinder Electric Burr"),
            (3, "view", "Raised Bed Larch 120 x 80"),
            (3, "purchase", "Tomato Seeds Cherry Red"),
            (1, "category-pref", "gardening"),
        ],
    ),
];

/// Everything that `count` shoppers did in the last [`DAYS`] days, oldest first.
pub(super) fn deeds(rng: &mut Rng, products: &[Product], count: u32) -> Vec<Deed> {
    let mut deeds = Vec::new();
    for number in 1..=count {
        let name = FIRST_NAMES[rng.position(FIRST_NAMES.len())];
        Shopper::new(rng, format!("{name}-{number}"), products, &mut deeds).live();
    }
    for (user, story) in KNOWN {
        for (step, (days, event, what)) in (0..).zip(*story) {
            let target = products.iter().find(|product| product.name.ends_with(what));
            deeds.push(Deed {
                ago: days * DAY - 19 * 3600 - step * 90,
                user: (*user).to_owned(),
                event,
                target: target.map_or_else(|| (*what).to_owned(), |product| product.name.clone()),
            });
        }
    }
    deeds.sort_by_key(|deed| std::cmp::Reverse(deed.ago));
    deeds
}

struct Shopper<'a> {
    rng: &'a mut Rng,
    products: &'a [Product],
    deeds: &'a mut Vec<Deed>,
    user: String,
    /// Positions in [`ACTIVITIES`]: the own pastime and a lesser one.
    pastime: usize,
    second: usize,
    kit: usize,
    brand: &'static str,
    /// Kinds bought already.
    owned: Vec<usize>,
    /// Seconds before the start of today, of the next deed.
    ago: u32,
}

impl<'a> Shopper<'a> {
    fn new(rng: &'a mut Rng, user: String, products: &'a [Product], deeds: &'a mut Vec<Deed>) -> Self {
        let weights = || ACTIVITIES.iter().map(|activity| activity.weight);
        let pastime = rng.weighted(weights()).unwrap_or(0);
        let second = rng.weighted(weights()).unwrap_or(0);
        let kit = usize::from(rng.chance(45));
        let brand = products[rng.position(products.len())].brand;
        Self { rng, products, deeds, user, pastime, second, kit, brand, owned: Vec::new(), ago: 0 }
    }

    /// Most come a few times, some often.
    fn live(&mut self) {
        let mut visits = self.rng.between(1, 6);
        if self.rng.chance(20) {
            visits += self.rng.below(8);
        }
        if self.rng.chance(4) {
            visits += self.rng.below(20);
        }
        let mut times: Vec<u32> = (0..visits).map(|_| self.visiting_time()).collect();
        times.sort_unstable_by(|a, b| b.cmp(a));
        for ago in times {
            self.ago = ago;
            self.visit();
        }
    }

    /// On any day between 10 and 24 hours, most often in the late afternoon. Seconds before the start of today.
    fn visiting_time(&mut self) -> u32 {
        let hour = 10 + self.rng.below(7) + self.rng.below(8);
        self.rng.between(1, DAYS) * DAY - hour * 3600 - self.rng.below(2400)
    }

    /// Search or browse, look at some products of a kind, perhaps buy, then look at what goes with it.
    fn visit(&mut self) {
        let (activity, kit) = match self.rng.below(100) {
            0..82 => (self.pastime, if self.rng.chance(75) { self.kit } else { 1 - self.kit }),
            82..95 => (self.second, usize::from(self.rng.chance(50))),
            _ => (self.rng.position(ACTIVITIES.len()), usize::from(self.rng.chance(50))),
        };
        let Some(kinds) = ACTIVITIES[activity].kits.get(kit) else { return };
        let first = first_kind(activity, kit);
        let wants = (0..kinds.len())
            .map(|at| if self.owned.contains(&(first + at)) { 0 } else { [9, 5, 4, 3, 3][at.min(4)] });
        let Some(wanted) = self.rng.weighted(wants.collect::<Vec<_>>().into_iter()) else { return };

        if self.rng.chance(25) {
            self.deed("category-pref", ACTIVITIES[activity].name.to_owned());
        }
        if self.rng.chance(40) {
            self.deed("search", kinds[wanted].search_term());
        }
        if self.consider(first + wanted, 48) {
            self.accessories(first, kinds, wanted);
        }
        if self.rng.chance(20) {
            let anything = self.rng.position(self.products.len()) / 4;
            self.view(anything);
        }
    }

    fn accessories(&mut self, first: usize, kinds: &[Kind], bought: usize) {
        for other in (0..kinds.len()).filter(|other| *other != bought) {
            if !self.owned.contains(&(first + other)) && self.rng.chance(45) {
                self.consider(first + other, 50);
            }
        }
    }

    /// Looks at products of `kind` and buys the last with a chance of `percent`.
    fn consider(&mut self, kind: usize, percent: u32) -> bool {
        let mut choice = None;
        for _ in 0..self.rng.between(1, 5) {
            choice = self.view(kind).or(choice);
        }
        let Some(product) = choice else { return false };
        let buys = self.rng.chance(percent);
        if self.rng.chance(if buys { 85 } else { 18 }) {
            self.deed("add-to-cart", self.products[product].name.clone());
        }
        if buys {
            self.deed("purchase", self.products[product].name.clone());
            self.owned.push(kind);
        }
        buys
    }

    /// Looks at one product of `kind`, by demand; none if nothing of it was on sale then.
    fn view(&mut self, kind: usize) -> Option<usize> {
        let shelf = self.products.get(4 * kind..4 * kind + 4)?;
        let demand: Vec<u32> =
            (0..).zip(shelf).map(|(variant, product)| self.demand(variant, product)).collect();
        let product = 4 * kind + self.rng.weighted(demand.into_iter())?;
        self.deed("view", self.products[product].name.clone());
        Some(product)
    }

    fn demand(&self, variant: usize, product: &Product) -> u32 {
        let day = -i64::from(self.ago / DAY) - 1;
        if day < product.available || day >= product.expires {
            return 0;
        }
        let usual = [40, 24, 16, 12][variant.min(3)] * if product.brand == self.brand { 3 } else { 1 };
        match product.trend {
            Trend::Rising if day >= -21 => usual * 8,
            Trend::Fading if day >= -30 => usual / 4,
            _ => usual,
        }
    }

    /// Notes a deed and lets some seconds pass.
    fn deed(&mut self, event: &'static str, target: String) {
        self.deeds.push(Deed { ago: self.ago, user: self.user.clone(), event, target });
        self.ago = self.ago.saturating_sub(self.rng.between(10, 150));
    }
}

/// Position, among all kinds of the shop, of the first kind of a kit.
fn first_kind(activity: usize, kit: usize) -> usize {
    let before = ACTIVITIES[..activity].iter().flat_map(|activity| activity.kits);
    let kits = before.chain(&ACTIVITIES[activity].kits[..kit]);
    kits.map(|kit| kit.len()).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::super::catalogue::{self, Product};
    use super::{ACTIVITIES, DAY, Deed, KNOWN, deeds};
    use crate::sample::{DAYS, SEED, rng::Rng};

    fn shop() -> (Vec<Product>, Vec<Deed>) {
        let mut rng = Rng::new(SEED);
        let products = catalogue::products(&mut rng);
        let deeds = deeds(&mut rng, &products, 1_000);
        (products, deeds)
    }

    #[test]
    fn deeds_are_in_order_and_within_the_time() {
        let (products, deeds) = shop();
        assert!(deeds.windows(2).all(|pair| pair[0].ago >= pair[1].ago));
        assert!(deeds.iter().all(|deed| deed.ago <= DAYS * DAY));
        let names: HashSet<&str> = products.iter().map(|product| product.name.as_str()).collect();
        assert!(
            deeds
                .iter()
                .filter(|deed| !["search", "category-pref"].contains(&deed.event))
                .all(|deed| names.contains(deed.target.as_str()))
        );
    }

    #[test]
    fn known_shoppers_speak_of_real_things() {
        let (products, _) = shop();
        for (_, event, what) in KNOWN.iter().flat_map(|(_, story)| *story) {
            let product = products.iter().find(|product| product.name.ends_with(what));
            let known = match *event {
                "category-pref" => ACTIVITIES.iter().any(|activity| activity.name == *what),
                "search" => products.iter().any(|product| product.name.to_lowercase().contains(what)),
                _ => product.is_some_and(|product| product.available < -20 && product.expires > 0),
            };
            assert!(known, "{event} {what}");
        }
    }

    /// Two purchases of one shopper are at least four times as often from the same kit as two purchases at random.
    #[test]
    fn kits_are_bought_together() {
        let (products, deeds) = shop();
        let kit_of: HashMap<&str, usize> = products
            .iter()
            .enumerate()
            .map(|(position, product)| (product.name.as_str(), position / 20))
            .collect();
        let mut of_kit = [0; 20];
        let mut of_user: HashMap<&str, Vec<usize>> = HashMap::new();
        for deed in deeds.iter().filter(|deed| deed.event == "purchase") {
            let kit = kit_of[deed.target.as_str()];
            of_kit[kit] += 1;
            of_user.entry(&deed.user).or_default().push(kit);
        }
        let (mut same, mut pairs) = (0, 0);
        for kits in of_user.values() {
            for (at, kit) in kits.iter().enumerate() {
                pairs += kits.len() - at - 1;
                same += kits[at + 1..].iter().filter(|other| *other == kit).count();
            }
        }
        let all: usize = of_kit.iter().sum();
        let by_chance: usize = of_kit.iter().map(|count| count * count).sum();
        assert!(
            same * all * all > 4 * by_chance * pairs,
            "{same} of {pairs} pairs; by chance {by_chance} of {}",
            all * all
        );
    }

    #[test]
    fn some_products_rise() {
        let (products, deeds) = shop();
        let share = |trend, recent: bool| {
            let named: HashSet<&str> = products
                .iter()
                .filter(|product| product.trend == trend)
                .map(|product| product.name.as_str())
                .collect();
            let views = deeds.iter().filter(|deed| deed.event == "view" && (deed.ago < 21 * DAY) == recent);
            let (of, all) = views.fold((0, 0), |(of, all), deed| {
                (of + usize::from(named.contains(deed.target.as_str())), all + 1)
            });
            of * 1_000 / all
        };
        assert!(share(catalogue::Trend::Rising, true) > 2 * share(catalogue::Trend::Rising, false));
        assert!(share(catalogue::Trend::Fading, true) < share(catalogue::Trend::Fading, false));
    }
}
