package dev.arblast.spark.sql;

import org.apache.spark.sql.Encoder;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.UDFRegistration;
import org.apache.spark.sql.functions;
import org.apache.spark.sql.types.DataTypes;
import scala.Tuple4;

/**
 * The SQL functions of Arblast. {@link #register} adds them to a session; {@code
 * spark.sql.extensions=dev.arblast.spark.sql.Extensions} adds them to every session.
 *
 * <ul>
 *   <li>{@code llr(k11, k12, k21, k22)}: log-likelihood ratio of four counts (bigint), a double. A null gives null.
 *   <li>{@code recommend(history, n)}: at most {@code n} items for someone who did the primary event to the items of {@code history}
 *       (array&lt;string&gt;), newest first; an array&lt;struct&lt;item: string, score: double&gt;&gt;, best first.
 *   <li>{@code similar(item, n)}: at most {@code n} items like this one, in the same form.
 *   <li>{@code correlators(primary, indicator, user, item)}: an aggregate, see {@link CorrelatorsAggregate}.
 * </ul>
 *
 * <p>{@code recommend} and {@code similar} answer from the model that two settings of the session name, which every query reads anew:
 * {@code spark.arblast.model} (a file model.arblast, or an engine's folder of generations, of which the current one answers) and
 * {@code spark.arblast.engine} (its engine.json). Both are paths or URLs that Hadoop knows. {@code SET} and {@code --conf} set them.
 */
public final class Functions {
  private Functions() {}

  /** Adds the functions to a session. */
  public static void register(SparkSession session) {
    UDFRegistration registry = session.udf();
    ServedModel model = new ServedModel(session);
    registry.register("llr", new LlrFunction(), DataTypes.DoubleType);
    registry.register("recommend", HitsFunction.recommend(model), HitRows.TYPE);
    registry.register("similar", HitsFunction.similar(model), HitRows.TYPE);
    Encoder<String> text = Encoders.STRING();
    Encoder<Tuple4<String, String, String, String>> input = Encoders.tuple(text, text, text, text);
    registry.register("correlators", functions.udaf(new CorrelatorsAggregate(), input));
  }
}
