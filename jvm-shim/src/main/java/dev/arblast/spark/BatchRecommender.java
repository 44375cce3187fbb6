package dev.arblast.spark;

import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.udf;

import dev.arblast.Recommender;
import dev.arblast.spark.source.LocalModel;
import dev.arblast.spark.source.ModelFile;
import java.io.Serializable;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.api.java.UDF1;
import org.apache.spark.sql.types.DataTypes;

/**
 * Recommendations for many at once, inside executors: each of them maps the model once, whatever it has to answer. All answers come from the
 * generation that was current when this was opened.
 *
 * <pre>{@code
 * BatchRecommender recommender = BatchRecommender.open(spark, "hdfs://name/models/shop%40shop", "engine.json");
 * Dataset<Row> answers = recommender.answers(queries, "query");                        // adds a column "answer"
 * rows.mapPartitions(part -> { Recommender here = recommender.here(); … });            // or by hand
 * }</pre>
 */
public final class BatchRecommender implements Serializable {
  private static final long serialVersionUID = 1;

  private final ModelFile model;
  private final String engine;

  private BatchRecommender(ModelFile model, String engine) {
    this.model = model;
    this.engine = engine;
  }

  /**
   * @param model a file {@code model.arblast} or an engine's folder of generations, at any path that Hadoop knows
   * @param engine path of its engine.json
   */
  public static BatchRecommender open(SparkSession spark, String model, String engine) {
    Configuration hadoop = spark.sparkContext().hadoopConfiguration();
    return new BatchRecommender(ModelFile.locate(model, hadoop), ModelFile.text(engine, hadoop));
  }

  /** In a task or on the driver: what answers there. It is shared, so leave it open. */
  public Recommender here() {
    return LocalModel.of(model).recommender(engine);
  }

  /** The rows with one more column, {@code answer}: the answer to the query in a column, both JSON as of the query server. */
  public Dataset<Row> answers(Dataset<Row> queries, String column) {
    UDF1<String, String> answer = query -> query == null ? null : here().query(query);
    return queries.withColumn("answer", udf(answer, DataTypes.StringType).apply(col(column)));
  }
}
