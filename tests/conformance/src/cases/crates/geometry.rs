//! Vectors, matrices, triangulations, spatial indices.

use crate::suite::Suite;
use crate::values::arrays;

/// A coordinate within -100 and 100.
fn coordinate(x: u16) -> f32 {
    f32::from(x % 20_001) / 100.0 - 100.0
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("crates/glam", |t| {
        use glam::{Mat4, Quat, Vec3, Vec3A, Vec4};
        t.map(
            |seed: [u16; 12]| {
                let x = seed.map(coordinate);
                let (a, b) = (Vec3::new(x[0], x[1], x[2]), Vec3A::new(x[3], x[4], x[5]));
                let turn = Quat::from_xyzw(x[6], x[7], x[8], x[9] + 200.0).normalize();
                let matrix = Mat4::from_scale_rotation_translation(a, turn, b.into());
                let point = matrix.transform_point3(Vec3::splat(x[10]));
                let inverse = matrix.inverse() * Vec4::new(1.0, 2.0, 3.0, x[11]);
                (
                    a.cross(b.into()).to_array(),
                    b.normalize_or_zero().to_array(),
                    point.to_array(),
                    inverse.to_array(),
                    (turn * b).to_array(),
                    [a.dot(b.into()), matrix.determinant(), b.min_element()],
                    a.cmplt(b.into()).bitmask(),
                )
            },
            &arrays::<u16, 12>(100),
        )
    });
    suite.case("crates/nalgebra", |t| {
        use nalgebra::{Matrix3, Matrix4, Vector3, Vector4};
        t.map(
            |seed: [u16; 16]| {
                let x = seed.map(|v| f64::from(coordinate(v)));
                let matrix = Matrix4::from_row_slice(&x);
                let solved = matrix.lu().solve(&Vector4::new(1.0, 2.0, 3.0, 4.0));
                let small = Matrix3::from_column_slice(&x[..9]);
                let rest = small.qr().r() * Vector3::new(x[13], x[14], x[15]);
                (
                    solved.map(|v| [v.x, v.y, v.z, v.w]),
                    matrix.determinant(),
                    [rest.x, rest.y, rest.z],
                    small.try_inverse().map(|inverse| inverse.norm()),
                )
            },
            &arrays::<u16, 16>(60),
        )
    });
    suite.case("crates/nalgebra_dynamic", |t| {
        use nalgebra::{DMatrix, DVector};
        t.map(
            |seed: [u16; 30]| {
                let matrix =
                    DMatrix::from_iterator(6, 5, seed.iter().map(|v| f64::from(coordinate(*v))));
                let square = matrix.transpose() * &matrix;
                let right = DVector::from_fn(5, |row, _| row as f64);
                let solved = square.cholesky().map(|cholesky| cholesky.solve(&right));
                solved.map(|v| [v[0], v[2], v[4]])
            },
            &arrays::<u16, 30>(30),
        )
    });
    suite.case("crates/delaunator", |t| {
        use delaunator::{Point, triangulate};
        t.map(
            |seed: [u16; 40]| {
                let points: Vec<Point> = seed
                    .chunks(2)
                    .map(|p| Point {
                        x: f64::from(coordinate(p[0])),
                        y: f64::from(coordinate(p[1])),
                    })
                    .collect();
                let mesh = triangulate(&points);
                let sum = mesh
                    .triangles
                    .iter()
                    .fold(0u64, |sum, v| sum.rotate_left(5) ^ *v as u64);
                (mesh.len() as u32, mesh.hull.len() as u32, sum)
            },
            &arrays::<u16, 40>(30),
        )
    });
    suite.case("crates/rstar", |t| {
        use rstar::{AABB, RTree};
        t.map(
            |seed: [u16; 60]| {
                let points: Vec<[f32; 2]> = seed
                    .chunks(2)
                    .map(|p| [coordinate(p[0]), coordinate(p[1])])
                    .collect();
                let mut tree = RTree::bulk_load(points);
                tree.insert([1.0, 2.0]);
                let area = AABB::from_corners([-50.0, -50.0], [20.0, 30.0]);
                (
                    tree.nearest_neighbor([3.0, 4.0]).copied(),
                    tree.locate_in_envelope(area).count() as u32,
                    tree.nearest_neighbor_iter([0.0, 0.0]).nth(4).copied(),
                )
            },
            &arrays::<u16, 60>(30),
        )
    });
}
