//! Buffers as the host sees them: whole and in parts, without a launch.

use legionella::{Accelerator, Error};

fn cpu() -> Accelerator {
    Accelerator::by_name("cpu").unwrap()
}

#[test]
fn what_is_uploaded_comes_back_whole_and_in_parts() {
    let cpu = cpu();
    let elements: Vec<(u8, u64)> = (0..100).map(|i| (i as u8, i << 40)).collect();
    let buffer = cpu.upload(&elements).unwrap();
    assert_eq!(buffer.len(), 100);
    assert_eq!(buffer.to_vec().unwrap(), elements);
    let part = buffer.slice(7..=20).unwrap();
    assert_eq!(part.to_vec().unwrap(), elements[7..=20]);
    let mut within = [(0, 0); 3];
    part.slice(2..5).unwrap().download(&mut within).unwrap();
    assert_eq!(within, elements[9..12]);
    assert!(buffer.slice(100..).unwrap().is_empty());
    assert_eq!(cpu.zeroed::<u32>(5).unwrap().to_vec().unwrap(), [0; 5]);
    assert_eq!(cpu.filled(3, 'x').unwrap().to_vec().unwrap(), ['x'; 3]);
    assert!(cpu.upload::<u8>(&[]).unwrap().is_empty());
}

#[test]
fn parts_are_written_filled_and_copied_and_the_rest_stays() {
    let cpu = cpu();
    let source = cpu.upload(&[10u16, 11, 12, 13]).unwrap();
    let mut buffer = cpu.filled(12, 1u16).unwrap();
    buffer.slice_mut(..2).unwrap().write(&[5, 6]).unwrap();
    buffer.slice_mut(3..5).unwrap().fill(7).unwrap();
    let (_, mut upper) = buffer.split_at_mut(6).unwrap();
    upper
        .slice_mut(1..4)
        .unwrap()
        .copy_from(source.slice(1..).unwrap())
        .unwrap();
    let (lower, mut upper) = buffer.split_at_mut(2).unwrap();
    let mut last = upper.slice_mut(8..).unwrap();
    last.copy_from(lower.as_slice()).unwrap();
    assert_eq!(
        buffer.to_vec().unwrap(),
        [5, 6, 1, 7, 7, 1, 1, 11, 12, 13, 5, 6]
    );
    buffer.fill(0).unwrap();
    assert_eq!(buffer.to_vec().unwrap(), [0; 12]);
}

#[test]
fn what_does_not_fit_is_an_error_and_changes_nothing() {
    let cpu = cpu();
    let mut buffer = cpu.upload(&[1u32, 2, 3]).unwrap();
    #[expect(clippy::reversed_empty_ranges)]
    for range in [0..4, 4..4, 2..1, usize::MAX..usize::MAX] {
        let error = buffer.slice(range.clone()).unwrap_err();
        assert!(matches!(error, Error::OutOfRange { len: 3, .. }), "{error}");
        assert!(buffer.slice_mut(range).is_err());
    }
    assert!(buffer.slice(..=usize::MAX).is_err());
    assert!(buffer.split_at_mut(4).is_err());
    let error = buffer.write(&[1]).unwrap_err();
    assert!(
        matches!(
            error,
            Error::SizeMismatch {
                expected: 3,
                found: 1,
                ..
            }
        ),
        "{error}"
    );
    assert!(buffer.download(&mut [0; 4]).is_err());
    let other = cpu.zeroed::<u32>(2).unwrap();
    assert!(buffer.copy_from(&other).is_err());
    assert_eq!(buffer.to_vec().unwrap(), [1, 2, 3]);
}
