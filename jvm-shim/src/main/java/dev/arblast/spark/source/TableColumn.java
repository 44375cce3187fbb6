package dev.arblast.spark.source;

import dev.arblast.internal.Table;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.Decimal;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.vectorized.ColumnVector;
import org.apache.spark.sql.vectorized.ColumnarArray;
import org.apache.spark.sql.vectorized.ColumnarMap;
import org.apache.spark.unsafe.types.UTF8String;

/** A column of a native table as Spark reads it, without a copy. Each kind knows its own getter; any other is a defect of the caller. */
abstract class TableColumn extends ColumnVector {
  private TableColumn(DataType type) {
    super(type);
  }

  /** The next column of a table. */
  static ColumnVector next(Table table, StructField field) {
    if (field.dataType().equals(DataTypes.StringType)) {
      return new Texts(table.texts(), table.rows(), field.nullable());
    }
    return new Numbers(table.numbers(), field.dataType());
  }

  /** Texts, of which an empty one is null if there may be nulls. */
  private static final class Texts extends TableColumn {
    private final Table.Texts texts;
    private final int rows;
    private final boolean nullable;

    Texts(Table.Texts texts, int rows, boolean nullable) {
      super(DataTypes.StringType);
      this.texts = texts;
      this.rows = rows;
      this.nullable = nullable;
    }

    @Override
    public boolean hasNull() {
      return numNulls() > 0;
    }

    @Override
    public int numNulls() {
      int nulls = 0;
      for (int row = 0; nullable && row < rows; row++) {
        nulls += texts.length(row) == 0 ? 1 : 0;
      }
      return nulls;
    }

    @Override
    public boolean isNullAt(int row) {
      return nullable && texts.length(row) == 0;
    }

    @Override
    public UTF8String getUTF8String(int row) {
      return isNullAt(row) ? null : UTF8String.fromBytes(texts.bytes(), texts.start(row), texts.length(row));
    }
  }

  /** Numbers, none of them null. */
  private static final class Numbers extends TableColumn {
    private final Table.Numbers numbers;

    Numbers(Table.Numbers numbers, DataType type) {
      super(type);
      this.numbers = numbers;
    }

    @Override
    public int getInt(int row) {
      return (int) numbers.get(row);
    }

    @Override
    public long getLong(int row) {
      return numbers.getLong(row);
    }

    @Override
    public double getDouble(int row) {
      return numbers.get(row);
    }
  }

  @Override
  public final void close() {
    // the bytes belong to the garbage collector
  }

  @Override
  public boolean hasNull() {
    return false;
  }

  @Override
  public int numNulls() {
    return 0;
  }

  @Override
  public boolean isNullAt(int row) {
    return false;
  }

  @Override
  public boolean getBoolean(int row) {
    throw otherType();
  }

  @Override
  public byte getByte(int row) {
    throw otherType();
  }

  @Override
  public short getShort(int row) {
    throw otherType();
  }

  @Override
  public int getInt(int row) {
    throw otherType();
  }

  @Override
  public long getLong(int row) {
    throw otherType();
  }

  @Override
  public float getFloat(int row) {
    throw otherType();
  }

  @Override
  public double getDouble(int row) {
    throw otherType();
  }

  @Override
  public ColumnarArray getArray(int row) {
    throw otherType();
  }

  @Override
  public ColumnarMap getMap(int row) {
    throw otherType();
  }

  @Override
  public Decimal getDecimal(int row, int precision, int scale) {
    throw otherType();
  }

  @Override
  public UTF8String getUTF8String(int row) {
    throw otherType();
  }

  @Override
  public byte[] getBinary(int row) {
    throw otherType();
  }

  @Override
  public ColumnVector getChild(int ordinal) {
    throw otherType();
  }

  private UnsupportedOperationException otherType() {
    return new UnsupportedOperationException("this column is of type " + dataType().simpleString());
  }
}
