package dev.arblast.spark.source;

import dev.arblast.internal.Table;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.connector.read.InputPartition;
import org.apache.spark.sql.connector.read.PartitionReader;
import org.apache.spark.sql.connector.read.PartitionReaderFactory;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.sql.vectorized.ColumnVector;
import org.apache.spark.sql.vectorized.ColumnarBatch;

/** Makes readers of native tables, which give Spark their columns as they are. */
abstract class ColumnarReaders implements PartitionReaderFactory {
  private static final long serialVersionUID = 1;

  private final StructType all;
  private final StructType wanted;

  ColumnarReaders(SourceTable table, StructType wanted) {
    this.all = table.schema();
    this.wanted = wanted;
  }

  /** What a partition holds, in the task. */
  abstract Pages open(InputPartition partition);

  @Override
  public final boolean supportColumnarReads(InputPartition partition) {
    return true;
  }

  @Override
  public final PartitionReader<InternalRow> createReader(InputPartition partition) {
    throw new UnsupportedOperationException("Spark asks for rows, although only columns are offered");
  }

  @Override
  public final PartitionReader<ColumnarBatch> createColumnarReader(InputPartition partition) {
    return new Reader(open(partition));
  }

  private ColumnarBatch batch(Table page) {
    StructField[] fields = all.fields();
    ColumnVector[] columns = new ColumnVector[wanted.length()];
    // the columns of a native table must be asked for in their order, also those that nobody wants
    for (StructField field : fields) {
      ColumnVector column = TableColumn.next(page, field);
      for (int i = 0; i < columns.length; i++) {
        if (wanted.fields()[i].name().equals(field.name())) {
          columns[i] = column;
        }
      }
    }
    return new ColumnarBatch(columns, page.rows());
  }

  private final class Reader implements PartitionReader<ColumnarBatch> {
    private final Pages pages;
    private ColumnarBatch batch;

    Reader(Pages pages) {
      this.pages = pages;
    }

    @Override
    public boolean next() {
      Table page = pages.next();
      batch = page == null ? null : batch(page);
      return batch != null;
    }

    @Override
    public ColumnarBatch get() {
      return batch;
    }

    @Override
    public void close() {
      pages.close();
    }
  }
}
