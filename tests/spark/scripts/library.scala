// CrossOccurrence and SimilarityAnalysis from Scala, in spark-shell: -Dgolden=FOLDER
import dev.arblast.spark.{CrossOccurrence, IndexedDataset, SimilarityAnalysis}
import org.apache.spark.api.java.JavaPairRDD
import scala.collection.JavaConverters._

val folder = sys.props("golden")
def pairs(name: String) = spark.read.schema("user string, item string").csv(s"$folder/$name.csv")

val correlators = CrossOccurrence.of("purchase", pairs("purchase"), "user", "item").maxItemsPerUser(100000).
  and("view", pairs("view"), "user", "item").maxItemsPerUser(100000).correlators()
val byItem = correlators.collect().map(row => (row.getString(0), row.getString(1)) -> row.getAs[scala.collection.Seq[org.apache.spark.sql.Row]](2).
  map(c => (c.getString(0), c.getDouble(1))).toList).toMap

// The shape of Mahout's: rows are users, the first dataset is primary.
val datasets = Array("purchase", "view").map(name => IndexedDataset.of(JavaPairRDD.fromRDD(pairs(name).rdd.map(row => (row.getString(0), row.getString(1))))))
val found = SimilarityAnalysis.cooccurrencesIDSs(datasets, 0xdeadbeef, 50, 100000)
require(found.size == 2)
for ((indicator, dataset) <- Seq("purchase", "view").zip(found.asScala)) {
  val rows = dataset.rows().collect().asScala.map(row => row._1 -> row._2.asScala.map(c => (c._1, c._2.doubleValue)).toList).toMap
  require(rows == byItem.collect { case ((item, `indicator`), row) => item -> row }, s"$indicator differs")
}
val users = SimilarityAnalysis.rowSimilarityIDS(datasets(0))
val alike = users.rows().collect().asScala.map(row => row._1 -> row._2.asScala.map(_._1).toList).toMap
require(alike.nonEmpty && alike.forall { case (user, others) => user.startsWith("u") && !others.contains(user) })
found.get(0).dfsWrite(sys.props("out"))
val line = spark.read.text(sys.props("out")).head().getString(0)
require(line.matches("i\\d+\t(i\\d+:[\\d.E]+ ?)+"), line)
println("scala agrees")
System.exit(0)
