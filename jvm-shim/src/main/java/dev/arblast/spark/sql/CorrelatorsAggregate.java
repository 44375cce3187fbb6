package dev.arblast.spark.sql;

import dev.arblast.spark.CorrelatorRows;
import org.apache.spark.sql.Encoder;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.catalyst.encoders.AgnosticEncoder;
import org.apache.spark.sql.catalyst.encoders.ExpressionEncoder;
import org.apache.spark.sql.catalyst.encoders.RowEncoder$;
import org.apache.spark.sql.expressions.Aggregator;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import scala.Tuple4;

/**
 * {@code correlators(primary, indicator, user, item)}: counts the rows of a group as interactions, user with item under an indicator, and
 * gives {@code array<struct<item: string, indicator: string, correlators: array<struct<id: string, llr: double>>>>}: of every item with
 * correlators, and every indicator, those by which one foresees that a user does the primary event to the item, strongest first.
 *
 * <p>{@code primary} is constant and one of the indicators. Rows with a null in another column do not count, nor does the number of equal
 * rows. A group without a row of the primary indicator has no correlators. The result does not depend on the order of rows or their
 * partitions: items stand in byte order, indicators the primary one first, then by name. Thresholds are those of an engine file that sets
 * none. A task holds its groups in memory, about as many bytes as their ids have; to train one large model, use TrainJob.
 */
public final class CorrelatorsAggregate extends Aggregator<Tuple4<String, String, String, String>, Interactions, Object> {
  private static final long serialVersionUID = 1;
  private static final DataType TYPE = DataTypes.createArrayType(CorrelatorRows.SCHEMA, false);

  @Override
  public Interactions zero() {
    return new Interactions();
  }

  @Override
  public Interactions reduce(Interactions group, Tuple4<String, String, String, String> row) {
    group.setPrimary(row._1());
    if (row._2() != null && row._3() != null && row._4() != null) {
      group.add(row._2(), row._3(), row._4());
    }
    return group;
  }

  @Override
  public Interactions merge(Interactions group, Interactions other) {
    group.addAll(other);
    return group;
  }

  /** Rows in an array: the one form that the encoder takes in every Spark. */
  @Override
  public Object finish(Interactions group) {
    return GroupTrain.correlators(group).toArray(new Row[0]);
  }

  @Override
  public Encoder<Interactions> bufferEncoder() {
    return Encoders.javaSerialization(Interactions.class);
  }

  /** Encoders of Spark's public interface make no array outside a struct. These inner ones are the same in 3.4 and 4.1. */
  @Override
  @SuppressWarnings("unchecked")
  public Encoder<Object> outputEncoder() {
    return ExpressionEncoder.apply((AgnosticEncoder<Object>) RowEncoder$.MODULE$.encoderForDataType(TYPE, true));
  }
}
