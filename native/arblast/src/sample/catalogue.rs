//! What the shop sells: four brands per activity, kits of kinds that belong together, four products per kind.

use super::rng::Rng;

/// A pastime with its shelves.
pub(super) struct Activity {
    pub(super) name: &'static str,
    /// How many shoppers have it as their own.
    pub(super) weight: u32,
    brands: [&'static str; 4],
    pub(super) kits: &'static [Kit],
}

/// Kinds that are used together; the first is what one starts with.
pub(super) type Kit = &'static [Kind];

/// A kind of product: name, typical price, further category, and its variants, best seller first.
pub(super) struct Kind(pub(super) &'static str, u32, &'static str, [&'static str; 4]);

/// A product as it stands in the shop.
pub(super) struct Product {
    /// Also its item id.
    pub(super) name: String,
    pub(super) brand: &'static str,
    pub(super) categories: Vec<&'static str>,
    /// In hundredths.
    pub(super) price: u32,
    /// Days from today, negative = past: on sale from here …
    pub(super) available: i64,
    /// … until here.
    pub(super) expires: i64,
    pub(super) trend: Trend,
}

/// How demand develops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trend {
    Steady,
    /// Many times the demand in the last three weeks.
    Rising,
    /// A quarter of the demand in the last month.
    Fading,
}

impl Kind {
    /// What people type to find it.
    pub(super) fn search_term(&self) -> String {
        self.0.to_lowercase()
    }
}

/// All products, ordered by activity, kit, kind and variant: product `4 · kind + variant`.
pub(super) fn products(rng: &mut Rng) -> Vec<Product> {
    let mut products = Vec::new();
    let mut number = 0;
    for activity in ACTIVITIES {
        for kind in activity.kits.iter().copied().flatten() {
            for (variant, text) in kind.3.iter().enumerate() {
                let brand = activity.brands[(number + variant) % 4];
                products.push(product(rng, activity, kind, brand, (variant, text)));
            }
            number += 1;
        }
    }
    products
}

fn product(
    rng: &mut Rng,
    activity: &Activity,
    kind: &Kind,
    brand: &'static str,
    (variant, text): (usize, &str),
) -> Product {
    let mut categories = vec![activity.name];
    if !kind.2.is_empty() {
        categories.push(kind.2);
    }
    let (available, expires) = match rng.below(100) {
        // The best seller of a kind is there to stay.
        _ if variant == 0 => (-i64::from(rng.between(150, 900)), i64::from(rng.between(300, 900))),
        0..6 => (i64::from(rng.between(5, 40)), 900),
        6..10 => (-700, -i64::from(rng.between(3, 20))),
        10..18 => (-i64::from(rng.between(20, 70)), 800),
        _ => (-i64::from(rng.between(150, 900)), i64::from(rng.between(300, 900))),
    };
    let trend = match rng.below(100) {
        0..6 => Trend::Rising,
        6..12 => Trend::Fading,
        _ => Trend::Steady,
    };
    Product {
        name: format!("{brand} {} {text}", kind.0),
        brand,
        categories,
        price: kind.1 * rng.between(80, 130) / 100 * 100 + 90,
        available,
        expires,
        trend,
    }
}

/// The shop's shelves.
pub(super) const ACTIVITIES: &[Activity] = &[
    Activity {
        name: "climbing",
        weight: 14,
        brands: ["Stonebeck", "Ravenholt", "Cragsworth", "Tarnlow"],
        kits: &[
            &[
                Kind(
                    "Climbing Rope",
                    150,
                    "",
                    ["9.5 mm 60 m", "9.8 mm 70 m", "Gym 40 m", "Half 8.6 mm 60 m"],
                ),
                Kind("Climbing Harness", 75, "", ["All-Round", "Light", "Kids", "Big Wall"]),
                Kind("Belay Device", 45, "", ["Assisted", "Tube", "Guide", "Eight"]),
                Kind("Quickdraw Set", 95, "", ["6 x 12 cm", "6 x 17 cm", "Alpine 5", "Sport 10"]),
                Kind("Climbing Helmet", 65, "ski touring", ["Hybrid", "Foam", "Kids", "Ultralight"]),
            ],
            &[
                Kind("Climbing Shoes", 110, "", ["Velcro", "Edge", "Slab", "First Steps"]),
                Kind("Chalk Bag", 22, "", ["Classic", "Felt", "Bucket", "Mini"]),
                Kind("Chalk", 9, "", ["Loose 300 g", "Block", "Ball", "Liquid 200 ml"]),
                Kind("Bouldering Mat", 190, "", ["Foldout", "Compact", "XL", "Slider"]),
                Kind("Finger Tape", 6, "", ["2.5 cm", "4 cm", "Box of 6", "Skin"]),
            ],
        ],
    },
    Activity {
        name: "camping",
        weight: 18,
        brands: ["Pinehollow", "Aldermoss", "Fernway", "Windlatch"],
        kits: &[
            &[
                Kind("Tent", 260, "hiking", ["2 Person", "3 Person", "4 Person Tunnel", "1 Person Solo"]),
                Kind("Sleeping Bag", 140, "hiking", ["Three Season", "Summer", "Winter Down", "Kids"]),
                Kind("Sleeping Mat", 80, "hiking", ["Inflatable", "Foam", "Wide", "Down"]),
                Kind(
                    "Tent Pegs",
                    15,
                    "",
                    ["Set of 10", "Sand Set of 6", "Snow Set of 4", "Titanium Set of 8"],
                ),
                Kind("Lantern", 35, "", ["Rechargeable", "Candle", "String", "Solar"]),
            ],
            &[
                Kind("Camp Stove", 65, "hiking", ["Gas Compact", "Two Burner", "Spirit", "Wood"]),
                Kind("Gas Cartridge", 8, "hiking", ["230 g", "100 g", "450 g", "Winter Mix 230 g"]),
                Kind("Cook Set", 45, "", ["2 Person", "Solo", "Family", "Titanium"]),
                Kind("Cool Box", 90, "fishing", ["25 l", "12 l", "Soft 18 l", "45 l Wheels"]),
                Kind("Camp Chair", 50, "fishing", ["Folding", "Low", "Recliner", "Stool"]),
            ],
        ],
    },
    Activity {
        name: "hiking",
        weight: 16,
        brands: ["Fernway", "Stonebeck", "Mosswell", "Larkfield"],
        kits: &[
            &[
                Kind("Hiking Boots", 160, "", ["Mid", "High Leather", "Wide Fit", "Kids Mid"]),
                Kind("Hiking Socks", 18, "running", ["Merino Crew", "Light Pair of 2", "Winter", "Liner"]),
                Kind("Trekking Poles", 70, "", ["Folding", "Cork Grip", "Carbon", "Kids"]),
                Kind("Boot Wax", 10, "", ["Tin 100 ml", "Sponge", "Spray", "Brush Set"]),
                Kind("Gaiters", 32, "ski touring", ["Short", "Long", "Light", "Winter"]),
            ],
            &[
                Kind("Backpack", 130, "camping", ["45 l", "30 l", "65 l", "22 l Day"]),
                Kind("Rain Cover", 18, "", ["30-45 l", "50-70 l", "Bright", "Ultralight"]),
                Kind(
                    "Water Bottle",
                    20,
                    "cycling",
                    ["Steel 0.75 l", "Insulated 0.5 l", "Soft 0.6 l", "Wide 1 l"],
                ),
                Kind("Rain Jacket", 170, "camping", ["Three Layer", "Packable", "Long Cut", "Kids"]),
                Kind("Dry Bag Set", 28, "paddling", ["3 Sizes", "5 Sizes", "20 l", "Ultralight"]),
            ],
        ],
    },
    Activity {
        name: "running",
        weight: 14,
        brands: ["Larkfield", "Windlatch", "Quillby", "Tarnlow"],
        kits: &[
            &[
                Kind("Running Shoes", 125, "", ["Daily", "Cushioned", "Race", "Wide"]),
                Kind("Running Socks", 14, "", ["Ankle Pair of 3", "Crew", "Compression", "Toe"]),
                Kind("Running Shorts", 38, "", ["5 Inch", "Split", "Lined 7 Inch", "Half Tights"]),
                Kind("Running Shirt", 34, "", ["Short Sleeve", "Singlet", "Long Sleeve", "Merino"]),
                Kind("Reflective Vest", 19, "cycling", ["Classic", "Lit", "Kids", "Sash"]),
            ],
            &[
                Kind("Trail Shoes", 135, "hiking", ["Grip", "Rocker", "Mud", "Ultra"]),
                Kind("Running Vest", 95, "", ["5 l", "10 l", "2 l Race", "12 l"]),
                Kind("Soft Flask", 16, "", ["500 ml", "250 ml", "With Filter", "Pair"]),
                Kind(
                    "Energy Gel",
                    18,
                    "cycling",
                    ["Box of 12 Citrus", "Box of 12 Berry", "Salted 6", "Mixed 24"],
                ),
                Kind("Head Torch", 48, "camping", ["400 lm", "250 lm", "900 lm Trail", "Red Light"]),
            ],
        ],
    },
    Activity {
        name: "cycling",
        weight: 12,
        brands: ["Quillby", "Kilnhurst", "Windlatch", "Brackwater"],
        kits: &[
            &[
                Kind("Bike Helmet", 70, "", ["City", "Road", "Trail", "Kids"]),
                Kind("Bike Lock", 60, "", ["U-Lock", "Folding", "Chain", "Cable"]),
                Kind("Bike Lights", 42, "", ["USB Set", "Dynamo Front", "Rear", "Wheel Pair"]),
                Kind("Pannier Bag", 75, "", ["20 l Pair", "Shopper 18 l", "Office", "Front Pair"]),
                Kind("Mudguards", 30, "", ["28 Inch Set", "Clip-On", "Rear", "Wide Set"]),
            ],
            &[
                Kind("Bike Tyre", 38, "", ["28 mm Road", "40 mm Gravel", "2.2 Inch Trail", "Winter Stud"]),
                Kind("Inner Tube", 7, "", ["28 Inch", "Light", "26 Inch", "Sealant Filled"]),
                Kind("Floor Pump", 45, "", ["Steel", "Tubeless", "Mini Foot", "Digital"]),
                Kind("Chain Lube", 11, "", ["Dry", "Wet", "Wax", "Cleaner Kit"]),
                Kind("Multi Tool", 28, "", ["16 Parts", "10 Parts", "With Chain Tool", "Ratchet"]),
            ],
        ],
    },
    Activity {
        name: "paddling",
        weight: 6,
        brands: ["Otterlund", "Brackwater", "Tarnlow", "Aldermoss"],
        kits: &[
            &[
                Kind("Kayak", 720, "", ["Touring", "Inflatable 2 Seat", "River", "Sit-On-Top"]),
                Kind("Kayak Paddle", 95, "", ["Two Part", "Carbon", "Four Part", "Kids"]),
                Kind("Spray Deck", 65, "", ["Nylon", "Neoprene", "Summer", "Universal"]),
                Kind("Roof Rack Straps", 20, "", ["3 m Pair", "5 m Pair", "Padded", "Bow Line"]),
                Kind("Deck Bag", 48, "", ["12 l", "Map Case", "Mesh", "Cooler"]),
            ],
            &[
                Kind("Paddle Board", 450, "", ["All-Round 10'6", "Touring 12'6", "Kids 8'6", "Yoga"]),
                Kind("Buoyancy Aid", 80, "fishing", ["Adult", "Side Entry", "Kids", "Low Profile"]),
                Kind("Board Leash", 26, "", ["Coiled", "Straight", "Waist", "Kids"]),
                Kind("Board Pump", 60, "", ["Double Action", "Electric", "Compact", "Gauge"]),
                Kind("Neoprene Shoes", 38, "", ["3 mm", "5 mm", "Low", "Kids"]),
            ],
        ],
    },
    Activity {
        name: "ski touring",
        weight: 6,
        brands: ["Snowmere", "Cragsworth", "Ravenholt", "Larkfield"],
        kits: &[
            &[
                Kind("Touring Skis", 520, "", ["88 mm", "95 mm", "80 mm Light", "102 mm Powder"]),
                Kind("Climbing Skins", 130, "", ["Mohair Mix", "Pure Mohair", "Nylon", "Trim Kit"]),
                Kind("Ski Wax", 14, "", ["Universal", "Cold", "Warm", "Rub-On"]),
                Kind("Touring Boots", 430, "", ["Two Buckle", "Stiff", "Light", "Wide"]),
                Kind("Ski Crampons", 85, "", ["90 mm", "100 mm", "80 mm", "110 mm"]),
            ],
            &[
                Kind("Avalanche Transceiver", 280, "", ["Three Antenna", "Compact", "Guide", "Starter Set"]),
                Kind("Avalanche Probe", 52, "", ["240 cm", "280 cm Carbon", "300 cm", "320 cm"]),
                Kind("Snow Shovel", 48, "", ["Telescopic", "Hoe", "Light", "D-Grip"]),
                Kind("Goggles", 85, "", ["Photochromic", "Sun", "Low Light", "Over Glasses"]),
                Kind("Touring Gloves", 62, "", ["Leather Palm", "Liner", "Mitten", "Spring"]),
            ],
        ],
    },
    Activity {
        name: "fishing",
        weight: 5,
        brands: ["Brackwater", "Otterlund", "Mosswell", "Kilnhurst"],
        kits: &[
            &[
                Kind("Spinning Rod", 85, "", ["2.4 m", "2.1 m Travel", "2.7 m Heavy", "1.8 m Kids"]),
                Kind("Spinning Reel", 70, "", ["2500", "3000", "4000", "1000 Light"]),
                Kind("Fishing Line", 14, "", ["Braid 150 m", "Mono 300 m", "Fluorocarbon 50 m", "Ice 50 m"]),
                Kind("Lure Set", 24, "", ["Perch 8", "Pike 5", "Trout Spoons 6", "Soft Baits 20"]),
                Kind("Landing Net", 32, "", ["Folding", "Rubber", "Long Handle", "Scoop"]),
            ],
            &[
                Kind("Fly Rod", 180, "", ["9' #5", "8'6 #4", "10' #7", "Starter Set"]),
                Kind("Fly Box", 22, "", ["Floating", "Slim", "Double", "Magnet"]),
                Kind("Flies Assortment", 26, "", ["Dry 24", "Nymphs 24", "Streamers 12", "Terrestrials 18"]),
                Kind("Waders", 150, "", ["Breathable", "Neoprene", "Hip", "Stocking Foot"]),
                Kind("Wading Boots", 110, "", ["Rubber Sole", "Felt Sole", "Studded", "Light"]),
            ],
        ],
    },
    Activity {
        name: "gardening",
        weight: 10,
        brands: ["Mosswell", "Hearthlow", "Kilnhurst", "Fernway"],
        kits: &[
            &[
                Kind("Raised Bed", 95, "", ["Larch 120 x 80", "Steel Oval", "Balcony 80 x 40", "Corner"]),
                Kind("Potting Soil", 12, "", ["40 l Peat-Free", "Herb 20 l", "Tomato 40 l", "Seedling 10 l"]),
                Kind("Tomato Seeds", 4, "", ["Cherry Red", "Beefsteak", "Yellow Pear", "Heirloom Mix"]),
                Kind("Watering Can", 26, "", ["Zinc 9 l", "Indoor 1.5 l", "Plastic 10 l", "Kids 2 l"]),
                Kind("Plant Supports", 17, "", ["Spiral Set of 5", "Bamboo 20", "Trellis", "Jute Twine"]),
            ],
            &[
                Kind("Pruning Shears", 35, "", ["Bypass", "Anvil", "Small Hands", "Ratchet"]),
                Kind("Garden Gloves", 11, "", ["Grip", "Thorn Proof", "Kids", "Leather"]),
                Kind("Hand Fork", 16, "", ["Ash Handle", "Steel", "Weeder", "Kids"]),
                Kind("Garden Hose", 48, "", ["20 m", "30 m", "Drip 15 m", "Wall Reel 25 m"]),
                Kind("Bird Feeder", 24, "", ["Seed Tube", "House", "Window", "Suet"]),
            ],
        ],
    },
    Activity {
        name: "coffee",
        weight: 9,
        brands: ["Hearthlow", "Kilnhurst", "Pinehollow", "Quillby"],
        kits: &[
            &[
                Kind("Pour-Over Dripper", 28, "", ["Ceramic 2 Cup", "Glass 4 Cup", "Steel", "Travel"]),
                Kind("Paper Filters", 6, "", ["100 Size 2", "100 Size 4", "Unbleached 200", "Reusable"]),
                Kind(
                    "Gooseneck Kettle",
                    75,
                    "",
                    ["Electric 0.9 l", "Stovetop 1 l", "Variable Heat", "Mini 0.5 l"],
                ),
                Kind("Kitchen Scale", 38, "", ["With Timer", "Slim", "Pocket", "Wood Top"]),
                Kind(
                    "Coffee Beans",
                    15,
                    "camping",
                    ["House Blend 500 g", "Ethiopia 250 g", "Decaf 500 g", "Dark 1 kg"],
                ),
            ],
            &[
                Kind("Espresso Machine", 390, "", ["Single Boiler", "Lever", "Compact", "Dual Boiler"]),
                Kind("Coffee Grinder", 130, "", ["Electric Burr", "Hand", "Single Dose", "Travel"]),
                Kind("Milk Jug", 19, "", ["350 ml", "600 ml", "Matt Black", "Sharp Spout"]),
                Kind("Tamper", 25, "", ["58 mm", "54 mm", "Levelling", "Set With Mat"]),
                Kind("Espresso Cups", 29, "", ["Set of 4", "Double Wall Pair", "Stoneware 2", "Glass 6"]),
            ],
        ],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{ACTIVITIES, Trend, products};
    use crate::sample::rng::Rng;

    #[test]
    fn products_are_many_distinct_and_believably_priced() {
        let products = products(&mut Rng::new(7));
        let names: HashSet<_> = products.iter().map(|product| &product.name).collect();
        assert_eq!((products.len(), names.len()), (400, 400));
        assert!(products.iter().all(|product| (350..100_000).contains(&product.price)));
        assert!(products.iter().all(|product| product.available < product.expires));
        assert!(
            products.iter().any(|product| product.available > 0)
                && products.iter().any(|product| product.expires < 0)
        );
        assert!(products.iter().any(|product| product.trend == Trend::Rising));
    }

    #[test]
    fn products_stand_in_the_order_of_kinds() {
        let products = products(&mut Rng::new(7));
        let kinds: Vec<_> =
            ACTIVITIES.iter().flat_map(|activity| activity.kits.iter().copied().flatten()).collect();
        assert_eq!(products.len(), 4 * kinds.len());
        for (position, product) in products.iter().enumerate() {
            assert!(product.name.contains(kinds[position / 4].0), "{}", product.name);
        }
    }
}
