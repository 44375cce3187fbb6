// What the Universal Recommender trains with: Mahout's cooccurrencesIDSs from CSV to text.  Mahout PRIMARY.csv OTHER.csv OUT_DIR [CAP]
import org.apache.mahout.math.cf.SimilarityAnalysis;
import org.apache.mahout.math.indexeddataset.BiDictionary;
import org.apache.mahout.math.indexeddataset.DefaultIndexedDatasetWriteSchema$;
import org.apache.mahout.math.indexeddataset.IndexedDataset;
import org.apache.mahout.sparkbindings.SparkDistributedContext;
import org.apache.mahout.sparkbindings.drm.CheckpointedDrmSpark;
import org.apache.mahout.sparkbindings.indexeddataset.IndexedDatasetSpark;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import scala.Option;
import scala.Tuple2;
import scala.collection.JavaConversions;
import scala.collection.immutable.List;

public final class Mahout {
    private static final int SEED = 0xdeadbeef, BEST = 50, CAP = 500;

    public static void main(String[] args) {
        int cap = args.length > 3 ? Integer.parseInt(args[3]) : CAP;
        SparkConf conf = new SparkConf().setMaster("local[2]").setAppName("mahout")
            .set("spark.driver.host", "127.0.0.1").set("spark.driver.bindAddress", "127.0.0.1").set("spark.ui.enabled", "false")
            .set("spark.serializer", "org.apache.spark.serializer.KryoSerializer")
            .set("spark.kryo.registrator", "org.apache.mahout.sparkbindings.io.MahoutKryoRegistrator")
            .set("spark.kryo.referenceTracking", "false").set("spark.kryoserializer.buffer.max", "300m");
        try (JavaSparkContext spark = new JavaSparkContext(conf)) {
            long start = System.nanoTime();
            IndexedDatasetSpark primary = read(spark, args[0], Option.empty());
            IndexedDatasetSpark other = read(spark, args[1], Option.apply(primary.rowIDs())); // only users of the primary file
            long read = System.nanoTime();
            List<IndexedDataset> indicators = SimilarityAnalysis.cooccurrencesIDSs(
                new IndexedDataset[] {primary, other}, SEED, BEST, cap, SimilarityAnalysis.defaultParOpts());
            int n = 0;
            for (IndexedDataset indicator : JavaConversions.seqAsJavaList(indicators)) {
                indicator.dfsWrite(args[2] + "/" + n++, DefaultIndexedDatasetWriteSchema$.MODULE$, new SparkDistributedContext(spark.sc()));
            }
            System.out.printf("{\"read_s\": %.3f, \"compute_write_s\": %.3f}%n", (read - start) / 1e9, (System.nanoTime() - read) / 1e9);
        }
    }

    /** Kept in memory and counted, so that what follows is timed without the reading. */
    private static IndexedDatasetSpark read(JavaSparkContext spark, String path, Option<BiDictionary> users) {
        IndexedDatasetSpark dataset = IndexedDatasetSpark.apply(spark.textFile(path).map(line -> {
            int comma = line.indexOf(',');
            return new Tuple2<>(line.substring(0, comma), line.substring(comma + 1));
        }).rdd(), users, spark.sc());
        ((CheckpointedDrmSpark<?>) dataset.matrix()).rddInput().asRowWise().cache().count();
        return dataset;
    }
}
