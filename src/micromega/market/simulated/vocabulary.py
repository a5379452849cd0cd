"""Words that simulated captions are made of: plain English, so that text features see what they see in life."""

CATEGORY_WORDS: dict[str, str] = {
    "fashion": (
        "dress fashion style outfit wear jacket jeans skirt shirt shoes boots leather silk cotton designer "
        "trend vintage elegant collection model runway wardrobe coat hat scarf suit denim tailor fabric lace "
        "velvet boutique chic heels sleeves pants sweater bag stylish clothes"
    ),
    "beauty": (
        "beauty makeup skin hair lips nails cream powder perfume glow mask brush palette mirror shampoo salon "
        "spa eyes cosmetic blonde curls facial lotion soap scent bath face brow smooth shine natural oil "
        "pigment foundation touch polish color gentle fresh cleansing"
    ),
    "home": (
        "home kitchen furniture sofa table lamp garden wood decor bedroom wall paint design interior floor "
        "chair carpet window cozy shelf ceramic candle plant bathroom apartment curtain architect renovation "
        "tiles roof bed pillow living room marble door porch craft workshop flowers"
    ),
    "food": (
        "food recipe dinner lunch breakfast chef cook bake bread cheese chocolate cake pasta pizza salad soup "
        "chicken fish rice fruit vegetables spicy sauce sugar butter delicious restaurant coffee wine taste "
        "flavor cream tomato garlic grill dessert tea meal organic honey"
    ),
    "travel": (
        "travel trip flight hotel beach island ocean mountain adventure journey passport tourist resort cruise "
        "explore vacation airport train destination city village landscape sunset desert forest lake tropical "
        "camping map luggage guide cathedral museum coast valley safari sail scenic harbor road"
    ),
    "music": (
        "music song album guitar piano concert band singer stage studio drum bass melody tour jazz rock rapper "
        "vocal lyrics orchestra festival dj record track rhythm chorus musician opera violin soul acoustic "
        "radio debut playlist tune beat choir microphone symphony blues"
    ),
    "electronics": (
        "phone camera laptop screen battery software app digital device computer wireless smart tablet gadget "
        "keyboard processor chip video audio headphones robot internet data lens display technology drone "
        "sensor cable memory code android apple online browser setup electronic charger upgrade innovation"
    ),
    "gaming": (
        "game player console level quest arcade multiplayer strategy shooter puzzle mission score team league "
        "champion tournament stream controller fantasy battle dragon hero warrior pixel nintendo xbox "
        "playstation character zombie castle sword magic victory boss rival duel rank bonus virtual weapons"
    ),
    "cars": (
        "car engine drive road wheel race motor speed turbo truck sedan garage tire brake fuel diesel electric "
        "hybrid bmw mercedes ferrari ford vehicle dealer chassis transmission exhaust horsepower convertible "
        "rally highway motorcycle pilot lap circuit toyota hood cylinder gear paint"
    ),
    "family": (
        "baby mother father family kids child toy school birth parents daughter son nursery sleep stroller "
        "toddler mom dad bedtime playground teacher lesson crib diaper pregnancy grandmother sister brother "
        "twins puppet story drawing cradle growing hug laughter milk infant homework care"
    ),
    "pets": (
        "dog cat puppy pet animal fur paw leash kitten horse bird tail rescue shelter vet walk breed collar "
        "rabbit fish feathers hamster parrot treat bone bark playful companion training nose adoption aquarium "
        "terrier snout cage loyal litter toys whiskers feed"
    ),
    "fitness": (
        "fitness workout gym muscle run yoga training strength weight cardio protein marathon coach exercise "
        "health sweat stretch runner bike swim energy endurance squat athlete lean body balance goal diet "
        "vitamins boxing core power jogging sprint stamina champion sneakers recovery active"
    ),
}
"""40 words for each of the 12 categories."""

SUPER_GROUP = {
    "fashion": 0, "beauty": 0, "home": 0,
    "food": 1, "travel": 1, "music": 1,
    "electronics": 2, "gaming": 2, "cars": 2,
    "family": 3, "pets": 3, "fitness": 3,
}  # fmt: skip
"""Categories of one group share part of their subject."""

COMMON_WORDS = (
    "the a and to my i you this is so in it for of with we on today love new all just me day time what happy "
    "your good at one best be have now from our are more get life that out know was when see like here back can "
    "up how always even great never every first make thank thanks really beautiful amazing tomorrow still again "
    "little night morning ready some favorite last people world only friends share wait next soon feeling way "
    "right very much look made big perfect who too let come want been most where these"
)
"""Everyday words of captions, most frequent first; they say nothing about a subject."""

LIFE_WORDS = (
    "weekend sunday rain sun snow cloudy summer winter spring autumn",
    "birthday party wedding anniversary celebrate gift surprise champagne dance toast",
    "friend laugh memories together reunion college neighbor visit joke selfie",
    "sleepy tired monday office meeting deadline busy traffic email commute",
    "book novel poem reading library quote wisdom thoughts dream hope",
    "movie cinema actor episode series television comedy drama tonight popcorn",
)
"""Words of off-topic posts, one theme a line."""

SYLLABLES = (
    "ba be bo da de do fa fe ka ki ko la le li lo lu ma me mi mo na ne no ra re ri ro sa se so ta te to va ve "
    "vi vo za zi zo"
)
"""Made-up names of brands and products are three of these."""

CITIES = (
    "London Paris Berlin Madrid Rome Vienna Prague Lisbon Dublin Amsterdam Copenhagen Stockholm Warsaw Athens "
    "Zurich Chicago Toronto Sydney Tokyo Singapore"
)
EVENT_GENRES = ("launch", "festival", "fair", "exhibition", "concert", "charity", "sport")
EVENT_TYPES = ("in person", "online", "hybrid")
CONTENT_TYPES = {"post": 1.0, "story": 0.45, "video": 1.8}
"""Content type -> price relative to a post."""
