//! Sums by vectors beside the same turn by turn.

use crate::target::cpu::regions::Policy;
use crate::target::cpu::trial::{self, Program};

/// A row of a sparse matrix times a vector of `%len` elements, of which `{term}` makes what is added: item `%x`
/// has elements `%first` to `%last`, and gives the column in place of a sum if that is no element.
fn kernel(term: &str) -> String {
    format!(
        "declare i64 @legionella.global_id(i32) nounwind willreturn nosync nofree speculatable memory(none)
        define void @kernel(ptr noundef readonly %block) nounwind {{
        entry:
            %starts = load ptr, ptr %block
            %columns.at = getelementptr i8, ptr %block, i64 8
            %columns = load ptr, ptr %columns.at
            %values.at = getelementptr i8, ptr %block, i64 16
            %values = load ptr, ptr %values.at
            %vector.at = getelementptr i8, ptr %block, i64 24
            %vector = load ptr, ptr %vector.at
            %len.at = getelementptr i8, ptr %block, i64 32
            %len = load i64, ptr %len.at
            %out.at = getelementptr i8, ptr %block, i64 40
            %out = load ptr, ptr %out.at
            %x = call i64 @legionella.global_id(i32 0)
            %first.at = getelementptr i32, ptr %starts, i64 %x
            %first.32 = load i32, ptr %first.at
            %first = zext i32 %first.32 to i64
            %last.at = getelementptr i8, ptr %first.at, i64 4
            %last.32 = load i32, ptr %last.at
            %last = zext i32 %last.32 to i64
            %any = icmp ult i64 %first, %last
            br i1 %any, label %turn, label %over
        turn:
            %k = phi i64 [ %first, %entry ], [ %k.next, %on ]
            %sum = phi float [ -0.0, %entry ], [ %sum.next, %on ]
            %column.at = getelementptr i32, ptr %columns, i64 %k
            %column.32 = load i32, ptr %column.at, align 4
            %column = zext i32 %column.32 to i64
            %inside = icmp ult i64 %column, %len
            br i1 %inside, label %on, label %outside
        on:
            %value.at = getelementptr float, ptr %values, i64 %k
            %value = load float, ptr %value.at, align 4
            %element.at = getelementptr float, ptr %vector, i64 %column
            %element = load float, ptr %element.at, align 4
            {term}
            %sum.next = fadd float %sum, %term
            %k.next = add nuw i64 %k, 1
            %end = icmp eq i64 %k.next, %last
            br i1 %end, label %over, label %turn
        outside:
            %mark = phi i32 [ %column.32, %turn ]
            %mark.at = getelementptr i32, ptr %out, i64 %x
            store i32 %mark, ptr %mark.at
            br label %done
        over:
            %row = phi float [ -0.0, %entry ], [ %sum.next, %on ]
            %row.at = getelementptr float, ptr %out, i64 %x
            store float %row, ptr %row.at
            br label %done
        done:
            ret void
        }}"
    )
}

const PRODUCT: &str = "%term = fmul float %value, %element";

/// How many sums a kernel's code for a processor computes by vectors.
fn sums(text: &str, cpu: &str) -> usize {
    let machine = trial::machine(cpu);
    let code = trial::compile(text, &machine, true, Policy::Worthwhile, |module, _| {
        module.verify().unwrap();
        module.print_to_string().to_string()
    });
    let code = code.unwrap();
    code.matches("call float @llvm.vector.reduce.fadd").count()
}

#[cfg(target_arch = "x86_64")]
#[test]
fn terms_of_a_sum_over_scattered_elements_are_computed_together() {
    assert!(sums(&kernel(PRODUCT), "x86-64-v4") > 0);
    assert_eq!(sums(&kernel(PRODUCT), "x86-64-v3"), 0);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn what_needs_the_sum_is_not() {
    let needs = "
        %product = fmul float %value, %element
        %term = fadd float %product, %sum";
    assert_eq!(sums(&kernel(needs), "x86-64-v4"), 0);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn elements_in_rows_alone_are_not() {
    let text = kernel(PRODUCT).replace(
        "%element.at = getelementptr float, ptr %vector, i64 %column",
        "%element.at = getelementptr float, ptr %vector, i64 %k",
    );
    assert_eq!(sums(&text, "x86-64-v4"), 0);
}

/// Processors gather numbers of 32 and 64 bits, and vectors of other integers are packed.
#[cfg(target_arch = "x86_64")]
#[test]
fn small_and_odd_elements_are_not() {
    let element = "%element = load float, ptr %element.at, align 4";
    let small = "
            %small = load i8, ptr %element.at, align 4
            %element = uitofp i8 %small to float";
    let odd = "
            %odd = load i24, ptr %element.at, align 4
            %element = uitofp i24 %odd to float";
    for other in [small, odd] {
        let text = kernel(PRODUCT).replace(element, other);
        assert_eq!(sums(&text, "x86-64-v4"), 0, "{other}");
    }
}

#[repr(C)]
struct Block(
    *const u32,
    *const u32,
    *const f32,
    *const f32,
    u64,
    *mut f32,
);

/// What the kernel does, turn by turn.
fn row(columns: &[u32], values: &[f32], vector: &[f32], len: u64) -> u32 {
    let mut sum = -0.0f32;
    for (column, value) in columns.iter().zip(values) {
        if u64::from(*column) >= len {
            return *column;
        }
        sum += value * vector[*column as usize];
    }
    sum.to_bits()
}

/// Compares rows of these bounds, bit for bit.
fn compare(program: &Program, starts: &[u32], columns: &[u32], values: &[f32], vector: &[f32]) {
    let len = vector.len() as u64;
    let mut out = vec![0f32; starts.len() - 1];
    let block = Block(
        starts.as_ptr(),
        columns.as_ptr(),
        values.as_ptr(),
        vector.as_ptr(),
        len,
        out.as_mut_ptr(),
    );
    let grid = [out.len() as u64, 1, 1];
    // SAFETY: the block is what the kernel reads, rows lie within columns and values until they have a
    // column that is none.
    let outcome = unsafe { program.launch((&raw const block).cast(), grid, [1024, 1, 1]) };
    assert_eq!(outcome, Ok(()));
    for (x, bounds) in starts.windows(2).enumerate() {
        let bounds = bounds[0] as usize..(bounds[1] as usize).min(columns.len());
        let expected = row(&columns[bounds.clone()], &values[bounds], vector, len);
        // Which of two NaN an addition gives is open.
        let both = out[x].is_nan() && f32::from_bits(expected).is_nan();
        assert!(both || out[x].to_bits() == expected, "row {x}");
    }
}

/// Numbers that look random.
fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed * 2 + 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 16
    }
}

#[test]
fn sums_are_those_of_turns_one_by_one() {
    let program = Program::compile(&kernel(PRODUCT), "native", true, Policy::Worthwhile);
    for seed in 0..8 {
        let mut next = numbers(seed);
        let vector: Vec<f32> = (0..500).map(|_| next() as f32 / 3e9 - 4e4).collect();
        let mut starts = vec![0u32];
        for _ in 0..3000 {
            let len = next() % [1, 9, 30, 200][seed as usize % 4];
            starts.push(starts[starts.len() - 1] + len as u32);
        }
        let len = starts[starts.len() - 1] as usize;
        let odd = [f32::NAN, f32::INFINITY, -0.0, f32::MIN_POSITIVE / 8.0];
        let values: Vec<f32> = (0..len)
            .map(|_| match next() % 50 {
                which @ 0..4 if seed >= 4 => odd[which as usize],
                _ => next() as f32 * 1e-9,
            })
            .collect();
        // Some columns are none, in the middle of rows, and of these some have the sign bit.
        let columns: Vec<u32> = (0..len)
            .map(|_| match next() % 100 {
                0 => 0x8000_0000 | next() as u32,
                1 => 500 + (next() % 9) as u32,
                _ => (next() % 500) as u32,
            })
            .collect();
        compare(&program, &starts, &columns, &values, &vector);
    }
}

/// A row may be left before its end, and what it hasn't come to need not be readable.
#[test]
fn nothing_is_read_behind_a_page_that_no_turn_reads() {
    const PAGE: usize = 4096;
    let program = Program::compile(&kernel(PRODUCT), "native", true, Policy::Worthwhile);
    let vector: Vec<f32> = (0..100).map(|i| i as f32).collect();
    // SAFETY: fresh memory of two pages, the second of which nobody may read; it stays.
    let page = unsafe {
        let start = libc::mmap(
            std::ptr::null_mut(),
            2 * PAGE,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        assert_ne!(start, libc::MAP_FAILED);
        let second = start.wrapping_byte_add(PAGE);
        assert_eq!(libc::mprotect(second, PAGE, libc::PROT_NONE), 0);
        std::slice::from_raw_parts_mut(start.cast::<u32>(), PAGE / 4)
    };
    for (index, column) in page.iter_mut().enumerate() {
        *column = index as u32 % 100;
    }
    page[PAGE / 4 - 1] = 100;
    let values = vec![0.5; PAGE / 4 + 16];
    let len = page.len() as u32;
    for left in 1..20 {
        compare(&program, &[0, len - left, len + 16], page, &values, &vector);
    }
}
