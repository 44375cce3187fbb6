"""Arblast in PySpark. It lives in the jar: `spark-submit --jars arblast-spark.jar --py-files arblast-spark.jar job.py`.

    from arblast_spark import CrossOccurrence
    CrossOccurrence("purchase", purchases, "user", "item").also("view", views, "user", "item").correlators().show()
"""

from pyspark.sql import DataFrame


class CrossOccurrence:
    """Which things go with which items, by the log-likelihood ratio. The first indicator is primary: its things are the items.

    Rows without user or item do not count, repetitions count once. Caps are those of the indicator named last. The result depends on
    the interactions, the caps and the seed alone.
    """

    def __init__(self, name: str, interactions: DataFrame, user: str, item: str):
        self._spark = interactions.sparkSession
        self._java = _java(self._spark).spark.CrossOccurrence.of(name, interactions._jdf, user, item)

    def also(self, name: str, interactions: DataFrame, user: str, item: str) -> "CrossOccurrence":
        """Another indicator, whose things may be of any kind."""
        getattr(self._java, "and")(name, interactions._jdf, user, item)
        return self

    def max_correlators(self, correlators: int) -> "CrossOccurrence":
        """At most so many correlators per item [50]."""
        self._java.maxCorrelators(correlators)
        return self

    def max_items_per_user(self, items: int) -> "CrossOccurrence":
        """Users and things with more interactions are thinned to about so many [500]."""
        self._java.maxItemsPerUser(items)
        return self

    def min_llr(self, llr: float) -> "CrossOccurrence":
        """Weaker correlators are left out [none]."""
        self._java.minLlr(float(llr))
        return self

    def seed(self, seed: int) -> "CrossOccurrence":
        """Of the thinning out."""
        self._java.seed(seed)
        return self

    def count_on(self, place: str) -> "CrossOccurrence":
        """`auto`, `driver`, `executors` or `parts`: where correlators are counted. The result is the same."""
        self._java.countOn(place)
        return self

    def correlators(self) -> DataFrame:
        """Counts now; a row (item, indicator, correlators: array of (id, llr), strongest first) where there are correlators."""
        return DataFrame(self._java.correlators(), self._spark)


class BatchRecommender:
    """Recommendations for many queries inside executors, each of which maps the model once.

    `model`: a file model.arblast or an engine's folder of generations, `engine`: its engine.json, both at any path that Hadoop knows.
    """

    def __init__(self, spark, model: str, engine: str):
        self._spark = spark
        self._java = _java(spark).spark.BatchRecommender.open(spark._jsparkSession, model, engine)

    def answers(self, queries: DataFrame, column: str) -> DataFrame:
        """The rows with one more column, `answer`: the answer to the query in a column, both JSON as of the query server."""
        return DataFrame(self._java.answers(queries._jdf, column), self._spark)


def register(spark) -> None:
    """Makes `llr`, `recommend`, `similar` and `correlators` known to SQL of this session."""
    _java(spark).spark.sql.Functions.register(spark._jsparkSession)


def _java(spark):
    if not hasattr(spark, "_jvm"):
        raise RuntimeError("this session is of Spark Connect, which has no JVM here: use the SQL functions and format('arblast') instead")
    return spark._jvm.dev.arblast
