package dev.arblast.spark;

import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.lit;
import static org.apache.spark.sql.functions.to_json;

import dev.arblast.internal.Batch;
import java.io.Serializable;
import java.util.Arrays;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.MapType;
import org.apache.spark.sql.types.StructType;

/**
 * Tables of events: columns named as the members of event JSON, in any order and any case, others are ignored. Those of PredictionIO's own
 * tables ({@code id} for {@code eventId}) and Parquet exports (properties as a struct) are understood.
 */
final class EventColumns implements Serializable {
  private static final long serialVersionUID = 1;

  /** In the order of the border: seven texts, two times. */
  private static final String[] NAMES = {
    "event", "entityType", "entityId", "targetEntityType", "targetEntityId", "properties", "eventId", "eventTime", "creationTime"
  };
  private static final int NEEDED = 3;
  private static final int PROPERTIES = 5;
  private static final int EVENT_ID = 6;
  private static final int TIMES = 7;

  /** Of each time: does it come as microseconds, not as text? */
  private final boolean[] micros = new boolean[NAMES.length - TIMES];

  private final transient Dataset<Row> selected;

  EventColumns(Dataset<Row> table) {
    Column[] columns = new Column[NAMES.length];
    for (int i = 0; i < NAMES.length; i++) {
      String name = find(table.schema(), i);
      if (name == null && i < NEEDED) {
        throw new IllegalArgumentException(
            "the table of events has no column " + NAMES[i] + "; it has " + Arrays.toString(table.columns())
                + ", needed are event, entityType, entityId; targetEntityType, targetEntityId, properties, eventId, eventTime, creationTime count");
      }
      columns[i] = (name == null ? lit(null).cast("string") : column(table, name, i)).alias(NAMES[i]);
    }
    selected = table.select(columns);
  }

  /** The rows as {@link #add} reads them. */
  Dataset<Row> selected() {
    return selected;
  }

  private static String find(StructType schema, int index) {
    for (String name : schema.fieldNames()) {
      if (name.equalsIgnoreCase(NAMES[index]) || index == EVENT_ID && name.equalsIgnoreCase("id")) {
        return name;
      }
    }
    return null;
  }

  private Column column(Dataset<Row> table, String name, int index) {
    DataType type = table.schema().apply(name).dataType();
    Column column = col("`" + name + "`");
    if (index >= TIMES) {
      // Also those without a zone, in the session's.
      micros[index - TIMES] = type.typeName().startsWith("timestamp") || type.equals(DataTypes.DateType);
      if (micros[index - TIMES]) {
        return column.cast("timestamp");
      }
    } else if (index == PROPERTIES && (type instanceof StructType || type instanceof MapType)) {
      return to_json(column);
    }
    if (!type.equals(DataTypes.StringType)) {
      String wanted = index >= TIMES ? "a timestamp or a text" : index == PROPERTIES ? "a JSON text, a struct or a map" : "a text";
      throw new IllegalArgumentException("column " + name + " of the table of events must be " + wanted + ", is " + type.simpleString());
    }
    return column;
  }

  void add(InternalRow row, Batch batch) {
    for (int i = 0; i < TIMES; i++) {
      Encoder.add(batch.text(i), row, i);
    }
    for (int i = TIMES; i < NAMES.length; i++) {
      if (micros[i - TIMES]) {
        batch.text(i).add((byte[]) null);
        batch.number(i - TIMES, row.isNullAt(i) ? null : (Long) row.getLong(i));
      } else {
        Encoder.add(batch.text(i), row, i);
      }
    }
  }
}
