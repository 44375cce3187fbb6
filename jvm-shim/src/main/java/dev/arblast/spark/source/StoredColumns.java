package dev.arblast.spark.source;

import dev.arblast.internal.Batch;
import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StringType;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;

/** Which column of a row goes where in an event that is to be stored. */
final class StoredColumns implements Serializable {
  private static final long serialVersionUID = 1;

  /** In the order of {@link Batch#EVENT_TEXTS}. */
  private static final List<String> TEXTS =
      Arrays.asList(
          "event", "entityType", "entityId", "targetEntityType", "targetEntityId", "properties", "eventId", "eventTime", "creationTime");
  /** In the order of {@link Batch#EVENT_NUMBERS}. */
  private static final List<String> TIMES = Arrays.asList("eventTime", "creationTime");

  private static final List<DataType> WHOLE =
      Arrays.asList(DataTypes.ByteType, DataTypes.ShortType, DataTypes.IntegerType, DataTypes.LongType);

  /** Of each text its column; -1: none. */
  private final int[] texts = new int[Batch.EVENT_TEXTS];
  /** Of each text what it is in every row, if it has no column; or null. */
  private final byte[][] constants = new byte[Batch.EVENT_TEXTS][];
  /** Of each time its column, if that is of timestamps; -1: none. */
  private final int[] times = new int[Batch.EVENT_NUMBERS];
  private final DataType[] types;
  private final String[] names;
  /** Which columns have a value in every row. */
  private final boolean[] full;

  private StoredColumns(StructType schema) {
    Arrays.fill(texts, -1);
    Arrays.fill(times, -1);
    names = schema.fieldNames();
    full = new boolean[names.length];
    types = new DataType[names.length];
    for (int i = 0; i < names.length; i++) {
      types[i] = schema.fields()[i].dataType();
    }
  }

  /** Columns with the names of an event's members. */
  static StoredColumns ofEvents(StructType schema) {
    Map<String, String> members = new HashMap<>();
    TEXTS.forEach(name -> members.put(name, name));
    return new StoredColumns(schema).with("events", schema, members, Arrays.asList("event", "entityType", "entityId"));
  }

  /** Columns user, item and perhaps eventTime, of an event of this name. */
  static StoredColumns ofInteractions(StructType schema, String event) {
    Map<String, String> members = new HashMap<>();
    members.put("user", "entityId");
    members.put("item", "targetEntityId");
    members.put("eventTime", "eventTime");
    StoredColumns columns = new StoredColumns(schema).with("interactions", schema, members, Arrays.asList("user", "item"));
    columns.constant("event", event);
    columns.constant("entityType", "user");
    columns.constant("targetEntityType", "item");
    return columns;
  }

  private void constant(String member, String text) {
    constants[TEXTS.indexOf(member)] = text.getBytes(StandardCharsets.UTF_8);
  }

  /** {@code members}: of each column that may be there, the member of an event. */
  private StoredColumns with(String table, StructType schema, Map<String, String> members, List<String> needed) {
    Map<String, String> known = new HashMap<>();
    members.keySet().forEach(name -> known.put(name.toLowerCase(Locale.ROOT), name));
    List<String> missing = new ArrayList<>(needed);
    for (int i = 0; i < schema.length(); i++) {
      StructField field = schema.fields()[i];
      String name = known.get(field.name().toLowerCase(Locale.ROOT));
      if (name == null) {
        List<String> names = new ArrayList<>(members.keySet());
        Collections.sort(names);
        throw new IllegalArgumentException("table " + table + " has no column " + field.name() + "; it has " + String.join(", ", names));
      }
      full[i] = missing.remove(name);
      place(members.get(name), i, field);
    }
    if (!missing.isEmpty()) {
      throw new IllegalArgumentException("table " + table + " also needs the columns " + String.join(", ", missing));
    }
    return this;
  }

  private void place(String member, int column, StructField field) {
    boolean isTime = TIMES.contains(member);
    if (isTime && field.dataType().equals(DataTypes.TimestampType)) {
      times[TIMES.indexOf(member)] = column;
    } else if (field.dataType() instanceof StringType || (!isTime && WHOLE.contains(field.dataType()))) {
      texts[TEXTS.indexOf(member)] = column;
    } else {
      String right = isTime ? "a timestamp, or a string such as 2026-01-31T12:00:00Z" : "a string or a whole number";
      String hint = member.equals("properties") ? "a string of JSON: use to_json" : right + ": use cast";
      throw new IllegalArgumentException(
          "column " + field.name() + " is of type " + field.dataType().simpleString() + ", but must be " + hint);
    }
  }

  /** Adds a row to a batch of events. Gives whether the batch is full. */
  boolean write(InternalRow row, Batch events) {
    for (int text = 0; text < texts.length; text++) {
      int column = texts[text];
      if (column < 0) {
        events.text(text).add(constants[text]);
      } else if (row.isNullAt(column)) {
        events.text(text).add(absent(column));
      } else if (types[column] instanceof StringType) {
        events.text(text).add(row.getUTF8String(column).getByteBuffer());
      } else {
        events.text(text).add(row.get(column, types[column]).toString());
      }
    }
    for (int time = 0; time < times.length; time++) {
      int column = times[time];
      events.number(time, column < 0 || row.isNullAt(column) ? null : row.getLong(column));
    }
    return events.endRow();
  }

  /** No text, where that may be. */
  private byte[] absent(int column) {
    if (full[column]) {
      throw new IllegalArgumentException("column " + names[column] + " must not be null: leave such rows out");
    }
    return null;
  }
}
